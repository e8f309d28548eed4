"""Noise that depends on seed and step alone: never on batch, order, device or number of devices."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def starting_noise(seed: int, shape: tuple[int, int, int]) -> Tensor:
    """Unit normal noise (C, h, w), fp32 on the CPU: what a pipeline of diffusers draws from a CPU generator."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed)))


def step_noise(seed: int, step: int, shape: tuple[int, int, int]) -> Tensor:
    """Unit normal noise (C, h, w), fp32 on the CPU, for one step of a stochastic sampler.

    Source and edits share it: the paper's "we must fix the internal randomness" (section 3.2).
    """
    key = int(np.random.SeedSequence((int(seed), step)).generate_state(1, np.uint64)[0])
    return torch.randn(shape, generator=torch.Generator().manual_seed(key))
