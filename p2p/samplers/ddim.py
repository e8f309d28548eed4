"""DDIM sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from p2p.samplers.forward_process import VariancePreserving, clip_range, predicts_v
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class DDIM(VariancePreserving):
    """Denoising diffusion implicit models (Song et al. 2021), equation 12 with σ = 0; its α is ᾱ here."""

    stochastic = False

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        x, a, a_next = state.x, per_row(self.alpha, i), per_row(self.alpha_next, i)
        eps = a.sqrt() * output + (1 - a).sqrt() * x if self.v_prediction else output
        return State(a_next.sqrt() * self.denoised(x, output, i) + (1 - a_next).sqrt() * eps)


def ddim(config: Mapping[str, Any], steps: int, device: torch.device) -> DDIM:
    """Makes DDIM with the schedule of a model's scheduler config."""
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
        clip=clip_range(scheduler.config),
    )
