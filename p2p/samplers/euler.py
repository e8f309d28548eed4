"""Euler sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from p2p.samplers.forward_process import VarianceExploding, predicts_v
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class Euler(VarianceExploding):
    """Euler's method on the probability flow ODE (Karras et al. 2022, algorithm 1 without lines 6 to 8)."""

    stochastic = False

    def derivative(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        """Computes d = (x − D)/σ at steps i, line 4; (B, C, h, w)."""
        return (x - self.denoised(x, output, i)) / per_row(self.sigma, i)

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        sigma, sigma_next = per_row(self.sigma, i), per_row(self.sigma, i + 1)
        return State(state.x + (sigma_next - sigma) * self.derivative(state.x, output, i))


def euler(config: Mapping[str, Any], steps: int, device: torch.device) -> Euler:
    """Makes Euler with the schedule of a model's scheduler config."""
    # diffusers' Euler imports scipy, which takes a second that other samplers need not spend.
    from diffusers import EulerDiscreteScheduler

    return Euler(*read_schedule(EulerDiscreteScheduler.from_config(config), steps, device))


def read_schedule(scheduler: Any, steps: int, device: torch.device) -> tuple[Tensor, Tensor, bool, float]:
    """Reads the fields of ``VarianceExploding`` from a scheduler of diffusers with this number of steps."""
    scheduler.set_timesteps(steps)
    return (
        scheduler.timesteps.float().to(device),
        scheduler.sigmas.to(device),
        predicts_v(scheduler.config),
        float(scheduler.init_noise_sigma),
    )
