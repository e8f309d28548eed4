"""Euler-ancestral against diffusers' scheduler step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler

from p2p.samplers.euler_ancestral import euler_ancestral
from p2p.samplers.sampler import State
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD


@pytest.mark.parametrize("config", schedulers.cases(DIFFUSION))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("euler_ancestral", EulerAncestralDiscreteScheduler, config)


def test_a_step_ends_with_the_next_noise_level() -> None:
    """From x₀ + σ ε with a right prediction, the noise left and the noise added have the next level's variance."""
    sampler, steps = euler_ancestral(SD, 8, CPU), 8
    assert sampler.stochastic
    draw = torch.Generator().manual_seed(0)
    clean = torch.zeros(steps, 1, 200, 200)
    noise, fresh = torch.randn((2, *clean.shape), generator=draw)
    i = torch.arange(steps)
    after = sampler.step(State(clean + sampler.sigma[:-1, None, None, None] * noise), noise, i, fresh)
    assert torch.allclose(after.x.std((1, 2, 3)), sampler.sigma[1:], rtol=0.02)
    assert torch.equal(after.x[-1], clean[-1]), "the last step adds no noise"
