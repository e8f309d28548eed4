"""DDIM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from p2p.samplers.prediction import denoised_vp, predicts_v
from p2p.samplers.sampler import State, per_row


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
    stochastic: bool = False

    @property
    def noise_level(self) -> Tensor:
        return ((1 - self.alpha) / self.alpha).sqrt()

    def start(self, noise: Tensor) -> State:
        return State(noise)

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State(self.alpha[i].sqrt() * denoised + (1 - self.alpha[i]).sqrt() * noise)

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        a = per_row(self.alpha, i)
        predicted = denoised_vp(x, output, a.sqrt(), (1 - a).sqrt(), self.v_prediction)
        return predicted.clamp(-self.clip, self.clip)

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        x, a, a_next = state.x, per_row(self.alpha, i), per_row(self.alpha_next, i)
        eps = a.sqrt() * output + (1 - a).sqrt() * x if self.v_prediction else output
        return State(a_next.sqrt() * self.denoised(x, output, i) + (1 - a_next).sqrt() * eps)


def ddim(config: Mapping[str, Any], steps: int, device: torch.device) -> DDIM:
    """DDIM with the schedule of a model's scheduler config."""
    scheduler = DDIMScheduler.from_config(config)
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
        v_prediction=predicts_v(scheduler.config),
        clip=scheduler.config.clip_sample_range if scheduler.config.clip_sample else float("inf"),
    )
