"""UniPC sampler of second order."""

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
class UniPC(LogSnr):
    """UniPC-2 with B₂(h) (Zhao et al. 2023) for predictions of x₀: a step corrects its latents, then predicts the next.

    The predictor of a step weighs the change of the prediction since the step before with ``predictor`` (T,), which is
    0 at the last step. The corrector of a step has the weights ``corrector`` (T, 2): of the change before, and of the
    change to this step's prediction.

    The state remembers three latents, their channels one after the other: the corrected latents of the step before, and
    the predictions of the two steps before. NaN marks what is not there: such a step is of lower order.
    """

    predictor: Tensor
    corrector: Tensor

    def start(self, noise: Tensor) -> State:
        return State(noise, _nothing(noise))

    def noised(self, denoised: Tensor, noise: Tensor, i: int) -> State:
        return State(self.alpha[i] * denoised + self.sigma[i] * noise, _nothing(denoised))

    def step(self, state: State, output: Tensor, i: Tensor, noise: Tensor | None) -> State:
        assert state.denoised is not None
        x_before, before, two_before = state.denoised.chunk(3, dim=1)
        denoised = self.denoised(state.x, output, i)

        previous = (i - 1).clamp(min=0)
        second, last = (per_row(column, i) for column in self.corrector.unbind(1))
        # Without the prediction of two steps before, the corrector is of first order, whose weight is 1/2.
        first_order = two_before.isnan()
        earlier = torch.where(first_order, 0, second * (two_before - before))
        change = earlier + torch.where(first_order, 0.5, last) * (denoised - before)
        corrected = self.advance(x_before, before + change, previous)
        x = torch.where(x_before.isnan(), state.x, corrected)

        slope = torch.where(before.isnan(), 0, per_row(self.predictor, i) * (denoised - before))
        following = self.advance(x, denoised + slope, i)
        return State(following, torch.cat([x, denoised, before], dim=1))


def _nothing(x: Tensor) -> Tensor:
    """The memory of a trajectory that begins: NaN, with three times the channels of x (C, h, w) or (B, C, h, w)."""
    return torch.full_like(torch.cat([x, x, x], dim=-3), torch.nan)


def unipc(config: Mapping[str, Any], steps: int, device: torch.device) -> UniPC:
    """Makes UniPC with the schedule of a model's scheduler config, which may use Karras's noise levels.

    The solver is UniPC-2 with B₂(h) for predictions of x₀, and its last step of first order, even if the config names
    another.
    """
    # This module of diffusers imports scipy, which takes a second that other samplers need not spend.
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler.from_config(
        config,
        solver_order=2,
        solver_type="bh2",
        predict_x0=True,
        lower_order_final=True,
        disable_corrector=[],
        solver_p=None,
    )
    scheduler.set_timesteps(steps)
    alpha, sigma, h = read_tables(scheduler)
    predictor = extrapolation_weights(h)
    predictor[-1] = 0
    return UniPC(
        timesteps=scheduler.timesteps.float().to(device),
        alpha=alpha.to(device),
        sigma=sigma.to(device),
        h=h.to(device),
        v_prediction=predicts_v(scheduler.config),
        predictor=predictor.to(device),
        corrector=_corrector(h).to(device),
    )


def _corrector(h: Tensor) -> Tensor:
    """Solves the corrector's order conditions at every step: (T, 2)."""
    weights = torch.full((len(h), 2), 0.5)
    weights[:, 0] = 0
    for i in range(2, len(h)):
        before, ratio = -h[i - 1], -h[i - 2] / h[i - 1]
        phi = torch.expm1(before)
        first = phi / before - 1
        second = first / before - 0.5
        conditions = torch.stack([first, 2 * second]) / phi
        if h[i - 1] > 0 and h[i - 2] > 0:
            weight = (conditions[1] - conditions[0]) / (ratio - 1)
            # The change before is divided by the ratio of the steps.
            weights[i] = torch.stack([weight / ratio, conditions[0] - weight])
    return weights
