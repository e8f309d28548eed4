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
    return _drawn(np.random.SeedSequence((int(seed), step)), shape)


def restart_noise(seed: int, step: int, shape: tuple[int, int, int]) -> Tensor:
    """Unit normal noise (C, h, w), fp32 on the CPU, with which a finished image is brought back to a step.

    It has nothing in common with the noise of that step.
    """
    return _drawn(np.random.SeedSequence((int(seed), step), spawn_key=(1,)), shape)


def _drawn(seeds: np.random.SeedSequence, shape: tuple[int, int, int]) -> Tensor:
    key = int(seeds.generate_state(1, np.uint64)[0])
    return torch.randn(shape, generator=torch.Generator().manual_seed(key))
