"""DPM-Solver++ (2M) sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from p2p.samplers.forward_process import clean_latents, predicts_v
from p2p.samplers.sampler import State, per_row


@dataclass(frozen=True, eq=False)
class DPMPP2M:
    """DPM-Solver++ (Lu et al. 2022, algorithm 2): solves the ODE of x₀ in λ = log(α/σ) by two-step extrapolation.

    ``alpha`` and ``sigma`` (T + 1,) are the factors in x = α x₀ + σ ε, and ``h`` (T,) the steps in λ. ``w`` (T,) is
    1/(2r) with r = h_{i−1}/h_i, the weight of the last prediction. It is 0 at steps of first order, of which the first
    is one, so the last prediction has no effect there.
    """

    timesteps: Tensor
    alpha: Tensor
    sigma: Tensor
    h: Tensor
    w: Tensor
    v_prediction: bool
    stochastic = False

    @property
    def noise_level(self) -> Tensor:
        return self.sigma[:-1] / self.alpha[:-1]

    def start(self, noise: Tensor) -> State:
        return State(noise, torch.zeros_like(noise))

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        # NaN marks that there is no last prediction, so ``step`` takes a step of first order.
        return State(self.alpha[i] * denoised + self.sigma[i] * noise, torch.full_like(denoised, torch.nan))

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return clean_latents(x, output, per_row(self.alpha, i), per_row(self.sigma, i), self.v_prediction)

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert state.denoised is not None
        alpha_next, sigma_next = per_row(self.alpha, i + 1), per_row(self.sigma, i + 1)
        sigma, h, w = (per_row(table, i) for table in (self.sigma, self.h, self.w))
        denoised = self.denoised(state.x, output, i)
        last = torch.where(state.denoised.isnan(), denoised, state.denoised)
        D = (1 + w) * denoised - w * last
        return State(sigma_next / sigma * state.x - alpha_next * torch.expm1(-h) * D, denoised)


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
    alpha = 1 / (scheduler.sigmas**2 + 1).sqrt()
    sigma = scheduler.sigmas * alpha
    h = (alpha.log() - sigma.log()).diff()
    w = torch.zeros_like(h)
    w[1:] = h[1:] / (2 * h[:-1])
    # With nearly all timesteps one may occur twice; a step of length 0 gives nothing to extrapolate.
    w[1:][h[:-1] <= 0] = 0
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
