"""DPM-Solver++ (2M) sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from p2p.samplers.forward_process import predicts_v
from p2p.samplers.log_snr import LogSnr, extrapolation_weights, read_tables
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class DPMPP2M(LogSnr):
    """DPM-Solver++ (Lu et al. 2022, algorithm 2): solves the ODE of x₀ in λ = log(α/σ) by two-step extrapolation.

    ``w`` (T,) is the weight of the last change of the prediction. It is 0 at steps of first order, of which the first
    is one, so the last prediction has no effect there.
    """

    w: Tensor

    def start(self, noise: Tensor) -> State:
        return State(noise, torch.zeros_like(noise))

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        # NaN marks that there is no last prediction, so ``step`` takes a step of first order.
        return State(self.alpha[i] * denoised + self.sigma[i] * noise, torch.full_like(denoised, torch.nan))

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert state.denoised is not None
        w = per_row(self.w, i)
        denoised = self.denoised(state.x, output, i)
        last = torch.where(state.denoised.isnan(), denoised, state.denoised)
        return State(self.advance(state.x, (1 + w) * denoised - w * last, i), denoised)


def dpmpp_2m(config: Mapping[str, Any], steps: int, device: torch.device) -> DPMPP2M:
    """Makes DPM-Solver++ 2M with the schedule of a model's scheduler config, which may use Karras's noise levels.

    The solver is algorithm 2 even if the config names another. As in diffusers, the last step is of first order if the
    schedule ends without noise, has fewer than 15 steps, or if the config asks for it.
    """
    # This module of diffusers imports scipy, which takes a second that other samplers need not spend.
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint"
    )
    scheduler.set_timesteps(steps)
    settings = scheduler.config
    alpha, sigma, h = read_tables(scheduler)
    w = extrapolation_weights(h)
    if (
        settings.euler_at_final
        or settings.final_sigmas_type == "zero"
        or (settings.lower_order_final and len(h) < 15)
    ):
        w[-1] = 0
    return DPMPP2M(
        timesteps=scheduler.timesteps.float().to(device),
        alpha=alpha.to(device),
        sigma=sigma.to(device),
        h=h.to(device),
        w=w.to(device),
        v_prediction=predicts_v(settings),
    )
