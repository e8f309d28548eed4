"""Measures of an image pair besides CLIP's, and the bounds that a kept pair respects."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from filters.errors import FilterError
from filters.measures.pixels import Images, Pixels, to_pixels

Score = NDArray[np.float32]


class Measure(Protocol):
    """A number for each image pair, by a model that is loaded once."""

    def score(self, inputs: Images, outputs: Images) -> Score:
        """N image pairs, as `Clip.score` takes them; float32 (N,)."""
        ...


@dataclass(frozen=True)
class Bounds:
    """What a kept candidate's measure lies between, both ends included.

    Raises:
        FilterError: an end that is not a number, or ends that nothing lies between.
    """

    least: float = -math.inf
    most: float = math.inf

    def __post_init__(self) -> None:
        if not self.least <= self.most:
            raise FilterError(f"nothing lies between {self.least} and {self.most}: give least below most")


def outside(scores: Mapping[str, Score], bounds: Mapping[str, Bounds], count: int) -> list[str]:
    """For each of `count` candidates the name of the first measure that is out of its bounds, or "" if none is.

    Compared in float32, as it is stored. NaN is out of all bounds.
    """
    reasons = [""] * count
    for name, bound in bounds.items():
        low, high = np.float32(bound.least), np.float32(bound.most)
        within = (scores[name] >= low) & (scores[name] <= high)
        reasons = [reason or ("" if ok else name) for reason, ok in zip(reasons, within, strict=True)]
    return reasons


def same_number(inputs: Images, outputs: Images) -> None:
    """Raises FilterError where they differ."""
    if len(inputs) != len(outputs):
        raise FilterError(f"{len(inputs)} inputs, {len(outputs)} outputs: give as many of each")


def paired(inputs: Images, outputs: Images) -> list[tuple[Pixels, Pixels]]:
    """The pairs as uint8 (H, W, 3).

    Raises:
        FilterError: other types or shapes, lengths that differ, or a pair of two sizes.
    """
    same_number(inputs, outputs)
    pairs = []
    for index, (before, after) in enumerate(zip(inputs, outputs, strict=True)):
        first, second = to_pixels(before, f"input {index}"), to_pixels(after, f"output {index}")
        if first.shape != second.shape:
            raise FilterError(f"pair {index} has the shapes {first.shape} and {second.shape}: give one size")
        pairs.append((first, second))
    return pairs


def each(pairs: Sequence[tuple[Pixels, Pixels]], measured: Callable[[Pixels, Pixels], float]) -> Score:
    """`measured` of each pair, float32 (N,)."""
    return np.array([measured(*pair) for pair in pairs], np.float32)
