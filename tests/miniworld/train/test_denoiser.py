from __future__ import annotations

import torch

from miniworld.train.denoiser import loss_weight


def test_loss_weight_lies_between_epsilon_and_velocity() -> None:
    snr = torch.tensor([0.01, 1.0, 5.0, 10.0, 500.0])
    epsilon = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.01])
    velocity = epsilon * (snr + 1) / snr
    assert torch.allclose(loss_weight(snr / (1 + snr)), (epsilon * velocity).sqrt(), rtol=1e-3)
