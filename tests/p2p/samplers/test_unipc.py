"""UniPC against diffusers' scheduler, step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UniPCMultistepScheduler

from p2p.samplers.sampler import State, stack
from p2p.samplers.unipc import unipc
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD, V

CONFIGS = {
    **DIFFUSION,
    "Karras": {**SD, "use_karras_sigmas": True},
    "Karras, v": {**SD, **V, "use_karras_sigmas": True, "timestep_spacing": "leading"},
    "an end with noise": {**SD, "final_sigmas_type": "sigma_min"},
}


@pytest.mark.parametrize("config", schedulers.cases(CONFIGS))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("unipc", UniPCMultistepScheduler, config)


@pytest.mark.parametrize("solver", [{"solver_type": "bh1"}, {"solver_order": 3}, {"disable_corrector": [2]}])
def test_it_is_the_same_solver_whatever_the_config_has(solver: dict[str, Any]) -> None:
    plain, other = (unipc({**SD, **more}, 20, CPU) for more in ({}, solver))
    memory = torch.linspace(-1, 1, 12)[:, None, None].expand(12, 3, 3)
    state, output = stack([State(torch.ones(4, 3, 3), memory)]), torch.ones(1, 4, 3, 3)
    i = torch.tensor([9])
    assert torch.equal(plain.step(state, output, i, None).x, other.step(state, output, i, None).x)


def test_a_timestep_that_comes_twice_stays_finite() -> None:
    steps = 1000
    sampler = unipc({**SD, "timestep_spacing": "linspace"}, steps, CPU)
    assert sampler.timesteps.diff().max() == 0, "the case does not arise"
    rows, memory = torch.ones(steps, 4, 1, 1), torch.ones(steps, 12, 1, 1)
    after = sampler.step(State(rows, 0.5 * memory), rows, torch.arange(steps), None)
    assert after.x.isfinite().all()


def test_what_is_remembered_counts_once_it_is_there() -> None:
    sampler = unipc(CONFIGS["Karras"], 6, CPU)
    assert not sampler.stochastic
    noise = torch.randn((4, 3, 3), generator=torch.Generator().manual_seed(0))
    state, output = stack([sampler.start(noise)]), torch.ones(1, 4, 3, 3)
    for k in range(3):
        assert state.denoised is not None
        assert state.denoised.shape == (1, 12, 3, 3)
        known = state.denoised.isnan().logical_not().flatten(1).any(0).reshape(3, -1).any(1)
        assert known.tolist() == [k > 0, k > 0, k > 1]
        state = sampler.step(state, output, torch.tensor([k]), None)
