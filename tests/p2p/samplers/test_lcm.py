"""LCM's multistep sampling against diffusers' scheduler step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import LCMScheduler

from p2p.errors import P2PError
from p2p.samplers.lcm import lcm
from p2p.samplers.sampler import State
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD, V

CONFIGS = {
    **DIFFUSION,
    "distilled with more": {**SD, "original_inference_steps": 100, "timestep_scaling": 8.0},
    "clipped, v": {**SD, **V, "clip_sample": True, "clip_sample_range": 0.7},
}


@pytest.mark.parametrize("config", schedulers.cases(CONFIGS))
def test_every_step_equals_diffusers(config: dict[str, Any]) -> None:
    schedulers.check_sampler("lcm", LCMScheduler, config)


def test_more_steps_than_it_was_distilled_with() -> None:
    with pytest.raises(P2PError, match="steps = 51 is more than the 50 of LCM's own schedule"):
        lcm(SD, 51, CPU)


def test_all_steps_but_the_last_add_noise_to_the_prediction() -> None:
    sampler = lcm(SD, 4, CPU)
    assert sampler.stochastic
    x, output, noise = torch.randn((3, 1, 4, 3, 3), generator=torch.Generator().manual_seed(0))
    for k in range(4):
        i = torch.tensor([k])
        prediction = sampler.denoised(x, output, i)
        quiet, noisy = (sampler.step(State(x), output, i, one).x for one in (torch.zeros_like(noise), noise))
        assert torch.equal(noisy, prediction) == (k == 3)
        alpha = sampler.alpha[k + 1] if k < 3 else torch.tensor(1.0)
        assert torch.allclose(quiet, alpha.sqrt() * prediction)
