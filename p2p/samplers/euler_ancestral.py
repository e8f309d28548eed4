"""Euler-ancestral sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import EulerAncestralDiscreteScheduler
from torch import Tensor

from p2p.samplers.euler import Euler, read_schedule
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class EulerAncestral(Euler):
    """Ancestral sampling: Euler's method to σ_down, then fresh noise of σ_up with σ_down² + σ_up² = σ_next².

    It is k-diffusion's ``sample_euler_ancestral`` with η = 1, a variant of Karras et al. 2022, algorithm 2.
    """

    stochastic = True

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert noise is not None
        sigma, sigma_next = per_row(self.sigma, i), per_row(self.sigma, i + 1)
        sigma_up = (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2).sqrt()
        sigma_down = (sigma_next**2 - sigma_up**2).sqrt()
        d = self.derivative(state.x, output, i)
        return State(state.x + (sigma_down - sigma) * d + sigma_up * noise)


def euler_ancestral(config: Mapping[str, Any], steps: int, device: torch.device) -> EulerAncestral:
    """Makes Euler-ancestral with the schedule of a model's scheduler config."""
    scheduler = EulerAncestralDiscreteScheduler.from_config(config)
    return EulerAncestral(*read_schedule(scheduler, steps, device))
