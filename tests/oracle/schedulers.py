"""Samplers against diffusers' own schedulers: the same timesteps and noise levels, and the same latents at every step.

All is fp32. One step from the scheduler's latents may differ by 1e-5 of their largest value, and a whole trajectory by
1e-4, because the two sides round in another order.
"""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from p2p.samplers.sampler import Sampler, State, stack, unstack
from p2p.samplers.sampler_registry import make_sampler

CPU = torch.device("cpu")
STEPS = (1, 2, 7, 15, 50)

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
V = {"prediction_type": "v_prediction"}
SD1 = {**SD, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
TRAILING = {**SD, **V, "clip_sample": False, "timestep_spacing": "trailing"}
DIFFUSION: dict[str, dict[str, Any]] = {
    "SD1": SD1,
    "SD2": {**SD1, **V},
    "trailing": TRAILING,
    "linspace": {**SD, "clip_sample": False, "timestep_spacing": "linspace"},
    "clipped": {**SD, "clip_sample": True, "clip_sample_range": 1.5, "beta_schedule": "linear"},
    "zero terminal SNR": {**TRAILING, "rescale_betas_zero_snr": True},
}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler"}


def cases(configs: dict[str, dict[str, Any]]) -> list[Any]:
    """The parameters of a test, each config under its name."""
    return [pytest.param(config, id=name) for name, config in configs.items()]


def check_sampler(name: str, scheduler_class: Any, config: dict[str, Any]) -> None:
    """Compare a sampler with a scheduler in all respects, for each number of steps in ``STEPS``."""
    for steps in STEPS:
        # Diffusers divides by zero if it stretches a schedule of one step to a terminal.
        if steps > 1 or "shift_terminal" not in config:
            check_schedule(name, scheduler_class, config, steps)
            check_steps(name, scheduler_class, config, steps)
    check_trajectory(name, scheduler_class, config, steps=20)
    check_noised(name, scheduler_class, config, steps=20)


def make_scheduler(scheduler_class: Any, config: dict[str, Any], steps: int) -> Any:
    """The scheduler at its first step, even if its first timestep comes twice."""
    scheduler = scheduler_class.from_config(config)
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    return scheduler


def check_schedule(name: str, scheduler_class: Any, config: dict[str, Any], steps: int) -> None:
    """The timesteps are equal, and the noise levels are those of noised latents: noise over signal, falling."""
    scheduler = make_scheduler(scheduler_class, config, steps)
    sampler = make_sampler(name, config, steps, CPU)
    assert torch.equal(sampler.timesteps, scheduler.timesteps.float())
    one, nothing = torch.ones(1, 1, 1), torch.zeros(1, 1, 1)
    levels = torch.stack(
        [
            (sampler.noised(nothing, one, i).x / sampler.noised(one, nothing, i).x).flatten()[0]
            for i in range(steps)
        ]
    )
    assert torch.allclose(sampler.noise_level, levels, rtol=1e-5)
    assert (levels.diff() <= 0).all()
    if hasattr(sampler, "sigma") and hasattr(scheduler, "sigmas"):
        assert torch.allclose(_sigmas(sampler), scheduler.sigmas, rtol=1e-6)


def _sigmas(sampler: Any) -> Tensor:
    """σ of Karras et al. 2022 with the end of the schedule; DPM-Solver++ keeps it as σ/α."""
    sigmas: Tensor = sampler.sigma / sampler.alpha if hasattr(sampler, "alpha") else sampler.sigma
    return sigmas


def reference_track(
    scheduler_class: Any, config: dict[str, Any], steps: int, outputs: Tensor, noises: Tensor
) -> Tensor:
    """Latents before every step and after the last, (T + 1, C, h, w), by the scheduler."""
    scheduler = make_scheduler(scheduler_class, config, steps)
    x = noises[-1:] * getattr(scheduler, "init_noise_sigma", 1.0)
    track = [x]
    for t, output, noise in zip(scheduler.timesteps, outputs, noises, strict=False):
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(x, t)
        with _drawing(scheduler, noise[None]):
            x = scheduler.step(output[None], t, x).prev_sample
        track.append(x)
    return torch.cat(track)


def check_steps(name: str, scheduler_class: Any, config: dict[str, Any], steps: int) -> None:
    """Every step from the scheduler's latents gives the scheduler's next latents, alone and in a shuffled batch."""
    draw = torch.Generator().manual_seed(steps)
    outputs = torch.randn((steps, 4, 3, 3), generator=draw)
    noises = torch.randn((steps + 1, 4, 3, 3), generator=draw)
    track = reference_track(scheduler_class, config, steps, outputs, noises)
    sampler = make_sampler(name, config, steps, CPU)
    states = [sampler.start(noises[-1])]
    assert torch.allclose(states[0].x, track[0], rtol=1e-6)
    for k in range(steps):
        # The state keeps the sampler's own memory of the step before.
        state = stack([State(track[k], states[k].denoised)])
        states += unstack(sampler.step(state, outputs[k : k + 1], torch.tensor([k]), noises[k : k + 1]))
    i = torch.randperm(steps, generator=draw)
    state = stack([State(track[k], states[k].denoised) for k in i.tolist()])
    after = sampler.step(state, outputs[i], i, noises[i])
    scale = track[:-1].abs().amax((1, 2, 3))[i].clamp(min=1)
    assert ((after.x - track[i + 1]).abs().amax((1, 2, 3)) / scale).max() < 1e-5
    for row, k in zip(unstack(after), i.tolist(), strict=True):
        assert torch.allclose(row.x, states[k + 1].x, rtol=1e-5, atol=1e-6), "a row depends on the batch"


def check_trajectory(name: str, scheduler_class: Any, config: dict[str, Any], steps: int) -> None:
    """From the noise to the end on the sampler's own latents, with a denoiser that depends on them."""
    denoise = torch.tanh
    sampler, scheduler = (
        make_sampler(name, config, steps, CPU),
        make_scheduler(scheduler_class, config, steps),
    )
    noises = torch.randn((steps + 1, 4, 3, 3), generator=torch.Generator().manual_seed(1))
    x = noises[-1:] * getattr(scheduler, "init_noise_sigma", 1.0)
    state = stack([sampler.start(noises[-1])])
    for k, t in enumerate(scheduler.timesteps):
        model_input = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        i = torch.tensor([k])
        assert torch.allclose(sampler.model_input(state.x, i), model_input, rtol=1e-4, atol=1e-4)
        with _drawing(scheduler, noises[k : k + 1]):
            x = scheduler.step(denoise(model_input), t, x).prev_sample
        state = sampler.step(state, denoise(sampler.model_input(state.x, i)), i, noises[k : k + 1])
    assert torch.allclose(state.x, x, rtol=1e-4, atol=1e-4)


def check_noised(name: str, scheduler_class: Any, config: dict[str, Any], steps: int) -> None:
    """Clean latents are noised to a step as the scheduler does, and the next step from there is finite."""
    sampler, scheduler = (
        make_sampler(name, config, steps, CPU),
        make_scheduler(scheduler_class, config, steps),
    )
    x, noise = torch.randn((2, 4, 3, 3), generator=torch.Generator().manual_seed(2))
    for k in (0, 7, steps - 1):
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(k)
        t = scheduler.timesteps[k : k + 1]
        if hasattr(scheduler, "scale_noise"):
            expected = scheduler.scale_noise(x[None], t, noise[None])
        else:
            expected = scheduler.add_noise(x[None], noise[None], t)
        state = sampler.noised(x, noise, k)
        assert torch.allclose(state.x, expected[0], rtol=1e-4, atol=1e-4)
        after = sampler.step(stack([state]), noise[None], torch.tensor([k]), noise[None])
        assert after.x.isfinite().all()


def gaussian_errors(name: str, config: dict[str, Any], steps: tuple[int, ...], spread: float) -> list[float]:
    """Relative errors at the end of a sampler of the probability flow ODE, for each number of steps.

    The data are normal with standard deviation ``spread``, so the denoiser is known (D = s²/(s² + σ²) x in the
    coordinates of Karras et al. 2022) and so is the solution: x(σ) falls as √(s² + σ²).
    """
    errors = []
    for count in steps:
        sampler = make_sampler(name, config, count, CPU)
        levels = sampler.noise_level.double()
        state = stack([sampler.start(torch.ones(1, 1, 1))])
        start = state.x.double() / _signal(sampler, 0)
        for k in range(count):
            i = torch.tensor([k])
            level, signal = levels[k], _signal(sampler, k)
            exploding = state.x / signal  # x₀ + σ ε
            clean = spread**2 / (spread**2 + level**2) * exploding
            state = sampler.step(state, ((exploding - clean) / level).float(), i, None)
        exact = start * (spread**2 / (spread**2 + levels[0] ** 2)).sqrt()
        errors.append(float(((state.x - exact) / exact).abs().max()))
    return errors


def _signal(sampler: Sampler, k: int) -> float:
    """The factor of the clean latents in those of step k."""
    return float(sampler.noised(torch.ones(1, 1, 1), torch.zeros(1, 1, 1), k).x)


def _drawing(scheduler: Any, noise: Tensor) -> Any:
    """Replace the noise that the scheduler draws in a stochastic step."""
    return mock.patch(f"{type(scheduler).__module__}.randn_tensor", return_value=noise, create=True)
