"""DPM-Solver++ (2M) against diffusers' scheduler step by step, and against the ODE that it solves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler

from p2p.samplers.dpmpp_2m import dpmpp_2m
from p2p.samplers.sampler import State, stack
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD, V

NOISY_END = {**SD, "final_sigmas_type": "sigma_min"}
CONFIGS = {
    **DIFFUSION,
    "Karras": {**SD, "use_karras_sigmas": True},
    "Karras, v": {**SD, **V, "use_karras_sigmas": True, "timestep_spacing": "leading"},
    "an end with noise": NOISY_END,
    "an end with noise, all second order": {**NOISY_END, "lower_order_final": False},
    "Euler's last step": {**NOISY_END, "lower_order_final": False, "euler_at_final": True},
}


@pytest.mark.parametrize("config", schedulers.cases(CONFIGS))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("dpmpp_2m", DPMSolverMultistepScheduler, config)


def test_the_error_falls_with_the_square_of_the_steps() -> None:
    """Four times the steps: an error 16 times smaller, where the first order has one 4 times smaller."""
    coarse, fine = schedulers.gaussian_errors("dpmpp_2m", CONFIGS["Karras"], (25, 100), spread=0.7)
    assert coarse / fine > 9


@pytest.mark.parametrize(
    "solver", [{"algorithm_type": "sde-dpmsolver++"}, {"solver_type": "heun"}, {"solver_order": 3}]
)
def test_it_is_algorithm_2_whatever_solver_the_config_has(solver: dict[str, Any]) -> None:
    plain, other = (dpmpp_2m({**SD, **more}, 20, CPU) for more in ({}, solver))
    state, output = stack([State(torch.ones(4, 3, 3), torch.full((4, 3, 3), 0.5))]), torch.ones(1, 4, 3, 3)
    i = torch.tensor([9])
    assert torch.equal(plain.step(state, output, i, None).x, other.step(state, output, i, None).x)


def test_a_timestep_that_comes_twice_stays_finite() -> None:
    steps = 1000
    sampler = dpmpp_2m({**SD, "timestep_spacing": "linspace"}, steps, CPU)
    assert sampler.timesteps.diff().max() == 0, "the case does not arise"
    rows = torch.ones(steps, 4, 1, 1)
    after = sampler.step(State(rows, 0.5 * rows), rows, torch.arange(steps), None)
    assert after.x.isfinite().all()


def test_the_last_prediction_counts_except_in_first_order_steps() -> None:
    sampler = dpmpp_2m(CONFIGS["Karras"], 6, CPU)
    assert not sampler.stochastic
    x, output = torch.randn((2, 1, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    for k in range(6):
        low, high = (
            sampler.step(State(x, torch.full_like(x, last)), output, torch.tensor([k]), None).x
            for last in (-1.0, 1.0)
        )
        assert torch.equal(low, high) == (k in (0, 5))
