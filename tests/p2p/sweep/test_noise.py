from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from p2p.sweep.noise import restart_noise, starting_noise, step_noise

SHAPE = (4, 8, 8)


@given(st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_noise_is_a_function_of_seed_and_step(seed: int, step: int) -> None:
    first = step_noise(seed, step, SHAPE)
    torch.randn(3)
    assert torch.equal(step_noise(seed, step, SHAPE), first)
    assert not torch.equal(step_noise(seed, step + 1, SHAPE), first)
    assert not torch.equal(step_noise((seed + 1) % 2**63, step, SHAPE), first)
    assert not torch.equal(starting_noise(seed, SHAPE), first)


@given(st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_a_restart_has_noise_of_its_own(seed: int, step: int) -> None:
    noise = restart_noise(seed, step, SHAPE)
    torch.randn(3)
    assert torch.equal(restart_noise(seed, step, SHAPE), noise)
    others = (
        restart_noise(seed, step + 1, SHAPE),
        restart_noise((seed + 1) % 2**63, step, SHAPE),
        step_noise(seed, step, SHAPE),
        starting_noise(seed, SHAPE),
    )
    for other in others:
        correlation = torch.corrcoef(torch.stack([noise.flatten(), other.flatten()]))[0, 1]
        assert abs(correlation) < 0.35


def test_starting_noise_is_what_a_pipeline_draws() -> None:
    drawn = torch.randn((1, *SHAPE), generator=torch.Generator("cpu").manual_seed(11))
    assert torch.equal(starting_noise(11, SHAPE), drawn[0])


def test_noise_is_unit_normal_and_steps_are_uncorrelated() -> None:
    draws = torch.stack([step_noise(5, step, SHAPE).flatten() for step in range(400)])
    assert abs(draws.mean()) < 0.01
    assert abs(draws.std() - 1) < 0.01
    assert (torch.corrcoef(draws) - torch.eye(400)).abs().max() < 0.35
