"""Euler for flow matching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from p2p.errors import ModelError, P2PError
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class FlowMatchEuler:
    """Euler's method on a rectified flow (Liu et al. 2022, section 2.1): dx = v dσ from noise at σ = 1 to data at 0.

    The denoiser's output is v = ε − x₀, of x = (1 − σ) x₀ + σ ε (Esser et al. 2024, equation 13). ``sigma`` (T + 1,)
    are the times, shifted as the model's schedule says (their equation 23).
    """

    timesteps: Tensor
    sigma: Tensor
    stochastic: bool = False

    @property
    def noise_level(self) -> Tensor:
        return self.sigma[:-1] / (1 - self.sigma[:-1])

    def start(self, noise: Tensor) -> State:
        return State(noise)

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State((1 - self.sigma[i]) * denoised + self.sigma[i] * noise)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return x - per_row(self.sigma, i) * output

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        return State(state.x + (per_row(self.sigma, i + 1) - per_row(self.sigma, i)) * output)


def flow_match_euler(config: Mapping[str, Any], steps: int, device: torch.device) -> FlowMatchEuler:
    """Flow-match Euler with the schedule of a model's scheduler config.

    A family may say more than the config does: ``_image_tokens``, on which a dynamic shift depends, and
    ``_even_times`` for times that are 1, 1 - 1/T, … 1/T before they are shifted, whatever the scheduler would choose.

    Raises:
        ModelError: a shift that depends on the number of image tokens where that is not known, or a scheduler that
            adds noise.
        P2PError: one step, of a schedule that is stretched from its first to its last.
    """
    # Its module imports scipy, which takes a second: who samples otherwise need not wait for it.
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    said, tokens = scheduler.config, config.get("_image_tokens")
    for unsupported, setting, mend in (
        (
            tokens is None,
            "use_dynamic_shifting",
            "set it to false and shift to the value for the image's size",
        ),
        (True, "stochastic_sampling", "set it to false"),
    ):
        if unsupported and said[setting]:
            raise ModelError(f"the scheduler's {setting} is not supported; {mend}")
    if said.shift_terminal and steps == 1:
        raise P2PError("steps = 1 is too few for the model's schedule (shift_terminal); take 2 or more")
    slope = (said.max_shift - said.base_shift) / (said.max_image_seq_len - said.base_image_seq_len)
    scheduler.set_timesteps(
        steps,
        sigmas=np.linspace(1.0, 1 / steps, steps) if config.get("_even_times") else None,
        mu=said.base_shift + slope * (tokens - said.base_image_seq_len)
        if said.use_dynamic_shifting
        else None,
    )
    return FlowMatchEuler(scheduler.timesteps.float().to(device), scheduler.sigmas.to(device))
