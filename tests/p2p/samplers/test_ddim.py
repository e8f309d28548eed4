"""DDIM against diffusers' scheduler step by step, and against the ODE that it solves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler

from p2p.samplers.ddim import ddim
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD, SD1


@pytest.mark.parametrize("config", schedulers.cases(DIFFUSION))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("ddim", DDIMScheduler, config)


def test_the_error_falls_with_the_first_power_of_the_steps() -> None:
    coarse, fine = schedulers.gaussian_errors(
        "ddim", {**SD1, "set_alpha_to_one": True}, (50, 200), spread=0.7
    )
    assert 2.5 < coarse / fine < 6


def test_a_right_prediction_of_the_noise_leads_to_the_image() -> None:
    """With ε known and no noise at the end, every trajectory ends at x₀ exactly, from any step."""
    sampler = ddim({**SD, "clip_sample": False, "set_alpha_to_one": True}, 10, CPU)
    clean, noise = torch.randn((2, 1, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    for first in (0, 4, 9):
        state = sampler.noised(clean, noise, first)
        for k in range(first, 10):
            state = sampler.step(state, noise, torch.tensor([k]), None)
        assert torch.allclose(state.x, clean, atol=1e-4)


def test_it_draws_no_noise() -> None:
    assert not ddim(SD1 | {"prediction_type": "epsilon"}, 4, CPU).stochastic
