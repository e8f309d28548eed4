"""Samplers over rows that may each be at a step of their own.

A sampler is a table of its schedule and two functions: what the model sees, and the step. Both take the rows' latents
x (B, C, h, w) in fp32 and their steps i (B,). Nothing is remembered between calls, so a trajectory forks by using its
latents twice. Schedules (spacing, offset, zero terminal SNR) are those of diffusers' schedulers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler
from torch import Tensor

from p2p.errors import ModelError, P2PError


class Sampler(Protocol):
    """One sampler with the schedule of a model and a number of steps."""

    @property
    def timesteps(self) -> Tensor:
        """(T,) fp32, as the denoiser takes them."""

    @property
    def starting_scale(self) -> float:
        """Standard deviation of the starting noise."""

    @property
    def stochastic(self) -> bool:
        """Whether ``step`` wants noise."""

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        """What the denoiser sees of x."""

    def step(self, x: Tensor, output: Tensor, i: Tensor, noise: Tensor | None) -> Tensor:
        """x at step i + 1, from the denoiser's output at i and unit normal noise."""


@dataclass(frozen=True, eq=False)
class DDIM:
    """Denoising diffusion implicit models (Song et al. 2021), equation 12 with σ = 0.

    ``alpha`` and ``alpha_next`` (T,) are the cumulative products ᾱ of the paper's α at each step and after it.
    """

    timesteps: Tensor
    alpha: Tensor
    alpha_next: Tensor
    v_prediction: bool
    clip: float
    starting_scale: float = 1.0
    stochastic: bool = False

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def step(self, x: Tensor, output: Tensor, i: Tensor, noise: Tensor | None) -> Tensor:
        a, a_next = _per_row(self.alpha, i), _per_row(self.alpha_next, i)
        if self.v_prediction:  # Salimans & Ho 2022, appendix D
            denoised = a.sqrt() * x - (1 - a).sqrt() * output
            eps = a.sqrt() * output + (1 - a).sqrt() * x
        else:
            denoised = (x - (1 - a).sqrt() * output) / a.sqrt()
            eps = output
        return a_next.sqrt() * denoised.clamp(-self.clip, self.clip) + (1 - a_next).sqrt() * eps


@dataclass(frozen=True, eq=False)
class EulerAncestral:
    """Ancestral sampling with Euler steps (Karras et al. 2022, algorithm 2 with η = 1, as in k-diffusion).

    ``sigma`` (T + 1,) are the noise levels, the last one 0.
    """

    timesteps: Tensor
    sigma: Tensor
    v_prediction: bool
    starting_scale: float
    stochastic: bool = True

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        sigma = _per_row(self.sigma, i)
        return x / (sigma**2 + 1).sqrt()

    def step(self, x: Tensor, output: Tensor, i: Tensor, noise: Tensor | None) -> Tensor:
        assert noise is not None
        sigma, sigma_next = _per_row(self.sigma, i), _per_row(self.sigma, i + 1)
        if self.v_prediction:
            denoised = x / (sigma**2 + 1) - output * sigma / (sigma**2 + 1).sqrt()
        else:
            denoised = x - sigma * output
        sigma_up = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2).sqrt()
        sigma_down = (sigma_next**2 - sigma_up**2).sqrt()
        d = (x - denoised) / sigma
        return x + d * (sigma_down - sigma) + noise * sigma_up


def ddim(config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
    """DDIM with the schedule of a model's scheduler config."""
    scheduler = DDIMScheduler.from_config(config)
    if scheduler.config.thresholding:
        raise ModelError("the scheduler's dynamic thresholding is not for latents; set thresholding to false")
    scheduler.set_timesteps(steps)
    t = scheduler.timesteps
    t_next = t - scheduler.config.num_train_timesteps // steps
    alpha_next = torch.where(
        t_next >= 0, scheduler.alphas_cumprod[t_next.clamp(min=0)], scheduler.final_alpha_cumprod
    )
    return DDIM(
        timesteps=t.float().to(device),
        alpha=scheduler.alphas_cumprod[t].to(device),
        alpha_next=alpha_next.to(device),
        v_prediction=_is_v_prediction(scheduler.config.prediction_type),
        clip=scheduler.config.clip_sample_range if scheduler.config.clip_sample else float("inf"),
    )


def euler_ancestral(config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
    """Euler-ancestral with the schedule of a model's scheduler config."""
    scheduler = EulerAncestralDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    return EulerAncestral(
        timesteps=scheduler.timesteps.float().to(device),
        sigma=scheduler.sigmas.to(device),
        v_prediction=_is_v_prediction(scheduler.config.prediction_type),
        starting_scale=float(scheduler.init_noise_sigma),
    )


SAMPLERS: Mapping[str, Callable[[Mapping[str, Any], int, torch.device], Sampler]] = {
    "ddim": ddim,
    "euler_ancestral": euler_ancestral,
}


def make_sampler(name: str, config: Mapping[str, Any], steps: int, device: torch.device) -> Sampler:
    """A sampler by name with the schedule of a model's scheduler config.

    Raises:
        P2PError: more steps than the model was trained with.
        ModelError: a prediction type other than epsilon and v_prediction, or dynamic thresholding.
    """
    trained = config.get("num_train_timesteps", 1000)
    if steps > trained:
        raise P2PError(f"steps = {steps} is more than the {trained} that the model was trained with")
    return SAMPLERS[name](config, steps, device)


def _is_v_prediction(prediction_type: str) -> bool:
    if prediction_type not in ("epsilon", "v_prediction"):
        raise ModelError(
            f"prediction type {prediction_type!r} is not supported; epsilon and v_prediction are"
        )
    return prediction_type == "v_prediction"


def _per_row(table: Tensor, i: Tensor) -> Tensor:
    return table[i][:, None, None, None]
