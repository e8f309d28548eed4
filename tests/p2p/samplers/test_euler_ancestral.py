"""Euler-ancestral against diffusers' scheduler step by step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler

from conf.compose import compose_config, to_object
from p2p.samplers.euler_ancestral import euler_ancestral
from p2p.samplers.sampler import State
from p2p.samplers.sampler_registry import make_sampler
from tests.oracle import schedulers
from tests.oracle.schedulers import CPU, DIFFUSION, SD, SD1


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


@pytest.mark.parametrize("spacing", [None, "leading", "trailing"])
def test_instructpix2pix_s_spacing_has_the_levels_of_k_diffusion(spacing: str | None) -> None:
    """k-diffusion: σ(t) is log-linear between the levels of training, at t evenly from the last to the first."""
    config = {**SD1, **({"timestep_spacing": spacing} if spacing else {})}
    settings = ["experiment=instructpix2pix", "captions=jsonl", "captions.path=a"]
    preset = to_object(compose_config(settings, str)).sampler
    assert preset.spacing is not None
    sampler = make_sampler(preset.name, config, preset.steps, CPU, preset.spacing.value)
    betas = torch.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, 1000) ** 2
    alphas = torch.cumprod(1 - betas, 0)
    log_sigmas = ((1 - alphas) / alphas).sqrt().log()
    t = torch.linspace(999, 0, 100)
    low, high, weight = t.floor().long(), t.ceil().long(), t.frac()
    expected = ((1 - weight) * log_sigmas[low] + weight * log_sigmas[high]).exp()
    assert torch.allclose(sampler.noise_level, expected, rtol=2e-4)
    assert torch.allclose(sampler.timesteps, t, atol=1e-3)
