"""Flow-match Euler sampler, for models that predict a flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from p2p.errors import ModelError, P2PError
from p2p.samplers.euler import Euler
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class FlowMatchEuler(Euler):
    """Euler's method on a rectified flow (Liu et al. 2022, section 2.1): dx = v dσ from noise at σ = 1 to data at 0.

    The denoiser's output is v = ε − x₀, and x = (1 − σ) x₀ + σ ε (Esser et al. 2024, equation 13). ``sigma`` (T + 1,)
    are the times, shifted by the model's schedule (their equation 23).
    """

    v_prediction: bool = False
    starting_scale: float = 1.0

    @property
    def noise_level(self) -> Tensor:
        return self.sigma[:-1] / (1 - self.sigma[:-1])

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State((1 - self.sigma[i]) * denoised + self.sigma[i] * noise)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return x - per_row(self.sigma, i) * output

    def derivative(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return output


def flow_match_euler(config: Mapping[str, Any], steps: int, device: torch.device) -> FlowMatchEuler:
    """Makes flow-match Euler with the schedule of a model's scheduler config.

    A family may add two keys to the config: ``_image_tokens``, on which a dynamic shift depends, and ``_even_times``
    for the times 1, 1 - 1/T, … 1/T before the shift in place of the scheduler's own.

    Raises:
        ModelError: a dynamic shift without ``_image_tokens``, or a scheduler that adds noise.
        P2PError: one step with ``shift_terminal``, which stretches the schedule from its first step to its last.
    """
    # This module of diffusers imports scipy, which takes a second that other samplers need not spend.
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    schedule, tokens = scheduler.config, config.get("_image_tokens")
    if schedule.use_dynamic_shifting and tokens is None:
        raise ModelError(
            "the scheduler's use_dynamic_shifting is not supported; set it to false and shift to the value for the "
            "image's size"
        )
    if schedule.stochastic_sampling:
        raise ModelError("the scheduler's stochastic_sampling is not supported; set it to false")
    if schedule.shift_terminal and steps == 1:
        raise P2PError("steps = 1 is too few for the model's schedule (shift_terminal); take 2 or more")
    slope = (schedule.max_shift - schedule.base_shift) / (
        schedule.max_image_seq_len - schedule.base_image_seq_len
    )
    scheduler.set_timesteps(
        steps,
        sigmas=np.linspace(1.0, 1 / steps, steps) if config.get("_even_times") else None,
        mu=schedule.base_shift + slope * (tokens - schedule.base_image_seq_len)
        if schedule.use_dynamic_shifting
        else None,
    )
    return FlowMatchEuler(scheduler.timesteps.float().to(device), scheduler.sigmas.to(device))
