"""Columns of cross-attention maps that are summed along a trajectory, and the size of map they are summed at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.text.words import TokenizedPrompt

# Smaller maps locate a word too coarsely.
MIN_SIDE = 8


@dataclass(frozen=True, eq=False)
class MapColumns:
    """Columns summed in the trajectories of a sweep.

    Attributes:
        source: (S, n); the weights with which columns of the source's maps are added to n sums.
        target: (S, n); the same for an edit's own maps M*, before they are edited.
        size: (h', w'), pixels of the maps.
        layers: number of layers with maps of this size; all are summed at every step.
    """

    source: Tensor
    target: Tensor
    size: tuple[int, int]
    layers: int

    def zero_sums(self) -> Tensor:
        """Makes the sums before the first step: zeros (P, n)."""
        return self.source.new_zeros(self.size[0] * self.size[1], self.source.shape[1])


def map_size(latents: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Chooses the size (h', w') of the maps to sum, given that of the latents and those of the denoiser's maps.

    It is the size nearest to a quarter of the latents' on a logarithmic scale, and the larger of two that are equally
    near: google/prompt-to-prompt uses 16×16 for latents of 64×64. Sizes with a side under 8 are used only if there are
    no others.
    """
    candidates = [size for size in sizes if min(size) >= MIN_SIDE] or sizes

    def distance(size: tuple[int, int]) -> tuple[float, int]:
        ratio = math.sqrt(size[0] * size[1] / (latents[0] * latents[1]))
        return abs(math.log(ratio * 4)), -size[0]

    return min(candidates, key=distance)


def word_columns(prompt: TokenizedPrompt, words: Sequence[Sequence[int]]) -> Tensor:
    """Makes weights (S, n) fp32 of n words or groups of words, given as positions of tokens: 1 there, else 0."""
    weights = torch.zeros(prompt.window, len(words))
    for n, tokens in enumerate(words):
        weights[list(tokens), n] = 1.0
    return weights
