from __future__ import annotations

import torch
from diffusers import DPMSolverMultistepScheduler

from p2p.samplers.log_snr import LogSnr, extrapolation_weights, read_tables


def test_a_constant_prediction_is_followed_exactly() -> None:
    scheduler = DPMSolverMultistepScheduler()
    scheduler.set_timesteps(10)
    alpha, sigma, h = read_tables(scheduler)
    tables = LogSnr(scheduler.timesteps.float(), alpha, sigma, h, v_prediction=False)
    clean, noise = torch.randn(2, 4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    steps = torch.tensor([0, 3, 7, 9])
    now, following = (
        alpha[i][:, None, None, None] * clean + sigma[i][:, None, None, None] * noise
        for i in (steps, steps + 1)
    )
    assert torch.allclose(tables.advance(now, clean, steps), following, atol=1e-5)
    assert torch.allclose(tables.denoised(now, noise, steps), clean, atol=1e-3)


def test_nothing_is_extrapolated_at_first_or_after_no_step() -> None:
    weights = extrapolation_weights(torch.tensor([0.5, 1.0, 0.0, 2.0, 1.0]))
    assert weights.tolist() == [0, 1, 0, 0, 0.25]
