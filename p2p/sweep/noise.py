"""Noise that depends on seed and step only, not on batch, order, device or number of devices."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def starting_noise(seed: int, shape: tuple[int, int, int]) -> Tensor:
    """Draws unit normal noise (C, h, w), fp32 on the CPU, as a diffusers pipeline does with a CPU generator."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed)))


def step_noise(seed: int, step: int, shape: tuple[int, int, int]) -> Tensor:
    """Draws unit normal noise (C, h, w), fp32 on the CPU, for one step of a stochastic sampler.

    Source and edits share it: the paper's "we must fix the internal randomness" (section 3.2).
    """
    return _draw(np.random.SeedSequence((int(seed), step)), shape)


def restart_noise(seed: int, step: int, shape: tuple[int, int, int]) -> Tensor:
    """Draws unit normal noise (C, h, w), fp32 on the CPU, to take a finished image back to a step.

    It is independent of ``step_noise`` of that step.
    """
    return _draw(np.random.SeedSequence((int(seed), step), spawn_key=(1,)), shape)


def _draw(seeds: np.random.SeedSequence, shape: tuple[int, int, int]) -> Tensor:
    key = int(seeds.generate_state(1, np.uint64)[0])
    return torch.randn(shape, generator=torch.Generator().manual_seed(key))
