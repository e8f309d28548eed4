"""Words whose columns of the maps are added up along a trajectory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.text.words import TokenizedPrompt

# A map with fewer pixels a side says too little of where a word is.
LEAST_SIDE = 8


@dataclass(frozen=True, eq=False)
class Watching:
    """What is watched in the trajectories of a sweep.

    Attributes:
        source: (S, n); the weights with which columns of the source's maps are added to n sums.
        target: (S, n); the same of an edit's maps, before they are edited.
        size: (h', w') of the maps, which are those of ``layers`` layers.
        layers: as many are added up at every step.
    """

    source: Tensor
    target: Tensor
    size: tuple[int, int]
    layers: int

    def nothing(self) -> Tensor:
        """(P, n) zeros: what has been seen before the first step."""
        return self.source.new_zeros(self.size[0] * self.size[1], self.source.shape[1])


def map_size(latents: tuple[int, int], sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Of the sizes of a denoiser's maps, the one that is to be watched.

    It is the one whose side is nearest to a quarter of the latents', on a scale of ratios, and the larger of two: the
    16×16 at which google/prompt-to-prompt looks at Stable Diffusion 1, whatever the resolution and the aspect ratio.
    Sizes with a side under 8 count only if there are no others.
    """
    wide = [size for size in sizes if min(size) >= LEAST_SIDE] or sizes

    def distance(size: tuple[int, int]) -> tuple[float, int]:
        ratio = math.sqrt(size[0] * size[1] / (latents[0] * latents[1]))
        return abs(math.log(ratio * 4)), -size[0]

    return min(wide, key=distance)


def columns(prompt: TokenizedPrompt, words: Sequence[Sequence[int]]) -> Tensor:
    """(S, n): 1 at the tokens of each of n words or groups of words."""
    weights = torch.zeros(prompt.window, len(words))
    for n, tokens in enumerate(words):
        weights[list(tokens), n] = 1.0
    return weights
