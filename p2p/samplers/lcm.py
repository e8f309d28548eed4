"""LCM sampler: multistep sampling of latent consistency models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import LCMScheduler
from torch import Tensor

from p2p.errors import P2PError
from p2p.samplers.forward_process import VariancePreserving, clip_range, predicts_v
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class LCM(VariancePreserving):
    """Multistep consistency sampling (Luo et al. 2023, algorithm 3) by f = c_skip x + c_out x₀ (their section 4.1).

    ``c_skip`` and ``c_out`` (T,) make f the identity at t = 0. The last ``alpha_next`` is 1, so the last step adds no
    noise.
    """

    c_skip: Tensor
    c_out: Tensor
    stochastic = True

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        x0 = super().denoised(x, output, i)
        return per_row(self.c_skip, i) * x + per_row(self.c_out, i) * x0

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert noise is not None
        f, a_next = self.denoised(state.x, output, i), per_row(self.alpha_next, i)
        return State(a_next.sqrt() * f + (1 - a_next).sqrt() * noise)


def lcm(config: Mapping[str, Any], steps: int, device: torch.device) -> LCM:
    """Makes LCM with the schedule of a model's scheduler config: a part of the steps that the model was distilled with.

    Raises:
        P2PError: more steps than the config's ``original_inference_steps`` (50 by default).
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
        v_prediction=predicts_v(scheduler.config),
        clip=clip_range(scheduler.config),
        c_skip=c_skip.to(device),
        c_out=c_out.to(device),
    )
