"""Flow-match Euler against diffusers' scheduler step by step, and with the dynamic shift of FLUX's pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from p2p.errors import ModelError, P2PError
from p2p.samplers.flow_match_euler import flow_match_euler
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, FLOW

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {**FLOW},
    "SD3": {**FLOW, "shift": 3.0},
    "Karras": {**FLOW, "use_karras_sigmas": True},
    "to a terminal": {**FLOW, "shift": 2.0, "shift_terminal": 0.1},
    "another scheduler's": {"prediction_type": "flow_prediction", "shift": 1.5},
}


@pytest.mark.parametrize("config", schedulers.cases(CONFIGS))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("flow_match_euler", FlowMatchEulerDiscreteScheduler, config)


@pytest.mark.parametrize("tokens", [16, 256, 1024, 4096])
def test_a_dynamic_shift_is_that_of_flux_s_pipeline(tokens: int) -> None:
    config = {**FLOW, "use_dynamic_shifting": True, "shift": 3.0}
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / 8, 8), mu=calculate_shift(tokens))
    sampler = flow_match_euler({**config, "_image_tokens": tokens, "_even_times": True}, 8, CPU)
    assert torch.equal(sampler.sigma, scheduler.sigmas)
    assert torch.equal(sampler.timesteps, scheduler.timesteps)


def test_a_straight_flow_is_solved_in_any_number_of_steps() -> None:
    """With v = ε − x₀ constant along the path, Euler's method is exact."""
    clean, noise = torch.randn((2, 1, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    for steps in (1, 3, 20):
        sampler = flow_match_euler(CONFIGS["SD3"], steps, CPU)
        assert not sampler.stochastic
        state = sampler.start(noise)
        for k in range(steps):
            i = torch.tensor([k])
            assert torch.allclose(sampler.denoised(state.x, noise - clean, i), clean, atol=1e-5)
            state = sampler.step(state, noise - clean, i, None)
        assert torch.allclose(state.x, clean, atol=1e-5)


@pytest.mark.parametrize("setting", ["use_dynamic_shifting", "stochastic_sampling"])
def test_settings_that_it_does_not_support(setting: str) -> None:
    with pytest.raises(ModelError, match=f"{setting} is not supported; set it to false"):
        flow_match_euler({**FLOW, setting: True}, 5, CPU)


def test_one_step_of_a_schedule_stretched_to_a_terminal() -> None:
    with pytest.raises(P2PError, match="steps = 1 is too few for the model's schedule"):
        flow_match_euler(CONFIGS["to a terminal"], 1, CPU)
