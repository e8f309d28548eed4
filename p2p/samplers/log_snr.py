"""Samplers that step in λ = log(α/σ), with predictions of x₀: their tables and the step for a constant prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from p2p.samplers.forward_process import clean_latents
from p2p.samplers.sampler import per_row


@dataclass(frozen=True, eq=False)
class LogSnr:
    """The tables that solvers of the ODE in λ share (Lu et al. 2022, DPM-Solver++, section 4).

    ``alpha`` and ``sigma`` (T + 1,) are the factors in x = α x₀ + σ ε, and ``h`` (T,) the steps in λ.
    """

    timesteps: Tensor
    alpha: Tensor
    sigma: Tensor
    h: Tensor
    v_prediction: bool
    stochastic = False

    @property
    def noise_level(self) -> Tensor:
        return self.sigma[:-1] / self.alpha[:-1]

    def model_input(self, x: Tensor, i: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, output: Tensor, i: Tensor) -> Tensor:
        return clean_latents(x, output, per_row(self.alpha, i), per_row(self.sigma, i), self.v_prediction)

    def advance(self, x: Tensor, denoised: Tensor, i: Tensor) -> Tensor:
        """Solves the ODE from steps i to i + 1 for a constant prediction of x₀ (DPM-Solver++, equation 9)."""
        alpha, sigma = per_row(self.alpha, i + 1), per_row(self.sigma, i + 1)
        return sigma / per_row(self.sigma, i) * x - alpha * torch.expm1(-per_row(self.h, i)) * denoised


def read_tables(scheduler: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Computes `alpha`, `sigma` and `h` of `LogSnr` for a diffusers scheduler whose number of steps is set."""
    alpha = 1 / (scheduler.sigmas**2 + 1).sqrt()
    sigma = scheduler.sigmas * alpha
    return alpha, sigma, (alpha.log() - sigma.log()).diff()


def extrapolation_weights(h: Tensor) -> Tensor:
    """Returns 1/(2r) with r = h_{i−1}/h_i, the weight of the last change of the prediction, (T,).

    It is 0 at the first step and after a step of length 0, which nearly all timesteps may hold: nothing is known there
    of how the prediction changes.
    """
    weights = torch.zeros_like(h)
    weights[1:] = torch.where(h[:-1] > 0, h[1:] / (2 * h[:-1]), 0)
    return weights
