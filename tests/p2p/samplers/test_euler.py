"""Euler's method against diffusers' scheduler step by step, and against the ODE that it solves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler

from p2p.samplers.euler import euler
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD, V

CONFIGS = {
    **DIFFUSION,
    "Karras": {**SD, "use_karras_sigmas": True},
    "an end with noise": {**SD, **V, "final_sigmas_type": "sigma_min"},
    "log-linear": {**SD, "interpolation_type": "log_linear"},
}


@pytest.mark.parametrize("config", schedulers.cases(CONFIGS))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("euler", EulerDiscreteScheduler, config)


def test_the_error_falls_with_the_first_power_of_the_steps() -> None:
    coarse, fine = schedulers.gaussian_errors("euler", CONFIGS["Karras"], (50, 200), spread=0.7)
    assert 2.5 < coarse / fine < 6


def test_the_derivative_is_that_of_the_noise_level() -> None:
    """dx/dσ = ε for x = x₀ + σ ε (Karras et al. 2022, equation 3), whichever the denoiser predicts."""
    clean, noise = torch.randn((2, 1, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    for prediction in ("epsilon", "v_prediction"):
        sampler = euler({**SD, "prediction_type": prediction}, 8, CPU)
        for k in range(8):
            x, sigma = sampler.noised(clean, noise, k).x, sampler.sigma[k]
            alpha = 1 / (sigma**2 + 1).sqrt()
            output = noise if prediction == "epsilon" else alpha * (noise - sigma * clean)
            assert torch.allclose(sampler.derivative(x, output, torch.tensor([k])), noise, atol=1e-4)


def test_a_log_linear_schedule_has_one_noise_level_for_each_step() -> None:
    """diffusers makes one level more than other schedules have."""
    assert euler(CONFIGS["log-linear"], 5, CPU).noise_level.shape == (5,)


def test_it_draws_no_noise() -> None:
    assert not euler(SD, 4, CPU).stochastic
