"""Euler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from p2p.samplers.prediction import denoised_ve, predicts_v
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class Euler:
    """The probability flow by Euler's method (Karras et al. 2022, algorithm 1 without lines 6 to 8).

    ``sigma`` (T + 1,) are the noise levels, the last one the schedule's end.
    """

    timesteps: Tensor
    sigma: Tensor
    v_prediction: bool
    starting_scale: float
    stochastic: bool = False

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
        x, sigma, sigma_next = state.x, per_row(self.sigma, i), per_row(self.sigma, i + 1)
        d = (x - self.denoised(x, output, i)) / sigma
        return State(x + (sigma_next - sigma) * d)


def euler(config: Mapping[str, Any], steps: int, device: torch.device) -> Euler:
    """Euler with the schedule of a model's scheduler config."""
    # Its module imports scipy, which takes a second: who samples otherwise need not wait for it.
    from diffusers import EulerDiscreteScheduler

    scheduler = EulerDiscreteScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    return Euler(
        timesteps=scheduler.timesteps.float().to(device),
        sigma=scheduler.sigmas.to(device),
        v_prediction=predicts_v(scheduler.config),
        starting_scale=float(scheduler.init_noise_sigma),
    )
