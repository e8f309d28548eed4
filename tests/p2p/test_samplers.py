"""Step for step what diffusers' schedulers do, with rows at steps of their own."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler
from torch import Tensor

from p2p.errors import ModelError, P2PError
from p2p.samplers import make_sampler

CPU = torch.device("cpu")
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CONFIGS: dict[str, dict[str, Any]] = {
    "SD1": {**SD, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1},
    "SD2": {
        **SD,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": "v_prediction",
    },
    "trailing": {
        **SD,
        "clip_sample": False,
        "timestep_spacing": "trailing",
        "prediction_type": "v_prediction",
    },
    "linspace": {**SD, "clip_sample": False, "timestep_spacing": "linspace"},
    "clipped": {**SD, "clip_sample": True, "clip_sample_range": 1.5, "beta_schedule": "linear"},
    "zero terminal SNR": {
        **SD,
        "clip_sample": False,
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
        "prediction_type": "v_prediction",
    },
}


def reference(sampler: str, config: dict[str, Any], steps: int, outputs: Tensor, noises: Tensor) -> Tensor:
    """Latents before every step and after the last, (T + 1, C, h, w), by diffusers."""
    kind = {"ddim": DDIMScheduler, "euler_ancestral": EulerAncestralDiscreteScheduler}[sampler]
    scheduler = kind.from_config(config)
    scheduler.set_timesteps(steps)
    x = noises[-1:] * scheduler.init_noise_sigma
    track = [x]
    for t, output, noise in zip(scheduler.timesteps, outputs, noises, strict=False):
        scheduler.scale_model_input(x, t)
        with mock.patch(
            "diffusers.schedulers.scheduling_euler_ancestral_discrete.randn_tensor", return_value=noise[None]
        ):
            x = scheduler.step(output[None], t, x).prev_sample
        track.append(x)
    return torch.cat(track)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("sampler", ["ddim", "euler_ancestral"])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_equals_diffusers_step_for_step(name: str, sampler: str, steps: int) -> None:
    draw = torch.Generator().manual_seed(steps)
    outputs = torch.randn((steps, 4, 3, 3), generator=draw)
    noises = torch.randn((steps + 1, 4, 3, 3), generator=draw)
    track = reference(sampler, CONFIGS[name], steps, outputs, noises)
    ours = make_sampler(sampler, CONFIGS[name], steps, CPU)
    assert torch.allclose(noises[-1] * ours.starting_scale, track[0], rtol=1e-6)
    # All steps in one batch, out of order: every row at a step of its own.
    i = torch.randperm(steps, generator=draw)
    after = ours.step(track[i], outputs[i], i, noises[i])
    assert torch.allclose(after, track[i + 1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("sampler", ["ddim", "euler_ancestral"])
def test_model_sees_what_diffusers_shows_it(name: str, sampler: str) -> None:
    kind = {"ddim": DDIMScheduler, "euler_ancestral": EulerAncestralDiscreteScheduler}[sampler]
    ours = make_sampler(sampler, CONFIGS[name], 9, CPU)
    x = torch.randn(9, 4, 3, 3)
    seen = ours.model_input(x, torch.arange(9))
    for k in range(9):
        scheduler = kind.from_config(CONFIGS[name])
        scheduler.set_timesteps(9)
        t = scheduler.timesteps[k]
        assert ours.timesteps[k] == t
        assert torch.allclose(seen[k], scheduler.scale_model_input(x[k], t), rtol=1e-6)


def test_more_steps_than_the_model_was_trained_with() -> None:
    with pytest.raises(P2PError, match="steps = 1001 is more than the 1000"):
        make_sampler("ddim", CONFIGS["SD1"], 1001, CPU)


@pytest.mark.parametrize("sampler", ["ddim", "euler_ancestral"])
def test_prediction_type_that_is_not_supported(sampler: str) -> None:
    with pytest.raises(ModelError, match="prediction type 'sample' is not supported"):
        make_sampler(sampler, {**SD, "prediction_type": "sample"}, 5, CPU)


def test_dynamic_thresholding_is_refused() -> None:
    with pytest.raises(ModelError, match="thresholding"):
        make_sampler("ddim", {**SD, "thresholding": True}, 5, CPU)
