"""Latent consistency models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import LCMScheduler
from torch import Tensor

from p2p.errors import P2PError
from p2p.samplers.prediction import denoised_vp, predicts_v
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class LCM:
    """Multistep consistency sampling (Luo et al. 2023, algorithm 3) by f = c_skip x + c_out x₀ (their section 4.1).

    ``alpha`` and ``alpha_next`` (T,) are ᾱ at each step and after it, the last one 1: there no noise is added.
    ``c_skip`` and ``c_out`` (T,) are the scalings that make the function the identity at t = 0.
    """

    timesteps: Tensor
    alpha: Tensor
    alpha_next: Tensor
    c_skip: Tensor
    c_out: Tensor
    v_prediction: bool
    clip: float
    stochastic: bool = True

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
        predicted = predicted.clamp(-self.clip, self.clip)
        return per_row(self.c_skip, i) * x + per_row(self.c_out, i) * predicted

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert noise is not None
        a_next, denoised = per_row(self.alpha_next, i), self.denoised(state.x, output, i)
        return State(a_next.sqrt() * denoised + (1 - a_next).sqrt() * noise)


def lcm(config: Mapping[str, Any], steps: int, device: torch.device) -> LCM:
    """LCM with the schedule of a model's scheduler config: steps out of those that the model was distilled with.

    Raises:
        P2PError: more steps than ``original_inference_steps``, 50 if the config does not say.
    """
    scheduler = LCMScheduler.from_config(config)
    distilled = scheduler.config.original_inference_steps
    if steps > distilled:
        raise P2PError(
            f"steps = {steps} is more than the {distilled} of LCM's own schedule (original_inference_steps)"
        )
    scheduler.set_timesteps(steps)
    t = scheduler.timesteps
    alpha = scheduler.alphas_cumprod[t]
    c_skip, c_out = scheduler.get_scalings_for_boundary_condition_discrete(t)
    return LCM(
        timesteps=t.float().to(device),
        alpha=alpha.to(device),
        alpha_next=torch.cat([alpha[1:], torch.ones(1)]).to(device),
        c_skip=c_skip.to(device),
        c_out=c_out.to(device),
        v_prediction=predicts_v(scheduler.config),
        clip=scheduler.config.clip_sample_range if scheduler.config.clip_sample else float("inf"),
    )
