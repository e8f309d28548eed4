"""Euler-ancestral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler
from torch import Tensor

from p2p.samplers.prediction import denoised_ve, predicts_v
from p2p.samplers.sampler import State, per_row


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

    @property
    def noise_level(self) -> Tensor:
        return self.sigma[:-1]

    def start(self, noise: Tensor) -> State:
        return State(noise * self.starting_scale)

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State(denoised + self.sigma[i] * noise)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x / (per_row(self.sigma, i) ** 2 + 1).sqrt()

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return denoised_ve(x, output, per_row(self.sigma, i), self.v_prediction)

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert noise is not None
        x, sigma, sigma_next = state.x, per_row(self.sigma, i), per_row(self.sigma, i + 1)
        sigma_up = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2).sqrt()
        sigma_down = (sigma_next**2 - sigma_up**2).sqrt()
        d = (x - self.denoised(x, output, i)) / sigma
        return State(x + d * (sigma_down - sigma) + noise * sigma_up)


def euler_ancestral(config: Mapping[str, Any], steps: int, device: torch.device) -> EulerAncestral:
    """Euler-ancestral with the schedule of a model's scheduler config."""
    scheduler = EulerAncestralDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    return EulerAncestral(
        timesteps=scheduler.timesteps.float().to(device),
        sigma=scheduler.sigmas.to(device),
        v_prediction=predicts_v(scheduler.config),
        starting_scale=float(scheduler.init_noise_sigma),
    )
