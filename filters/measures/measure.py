"""Interface of a measure of image pairs, and what measures share: input checks and scoring pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from filters.errors import FilterError
from filters.pixels import Images, Pixels, to_pixels

Score = NDArray[np.float32]


class Measure(Protocol):
    """Scores image pairs with one number each, by a model that is loaded once."""

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Scores N image pairs, given as for `Clip.score`: float32 (N,)."""
        ...


def check_same_number(inputs: Images, outputs: Images) -> None:
    """Checks that there are as many inputs as outputs. Raises FilterError otherwise."""
    if len(inputs) != len(outputs):
        raise FilterError(f"{len(inputs)} inputs, {len(outputs)} outputs: give as many of each")


def pair_pixels(inputs: Images, outputs: Images) -> list[tuple[Pixels, Pixels]]:
    """Converts the pairs to uint8 (H, W, 3).

    Raises:
        FilterError: other types or shapes, lengths that differ, or a pair of two sizes.
    """
    check_same_number(inputs, outputs)
    pairs = []
    for index, (before, after) in enumerate(zip(inputs, outputs, strict=True)):
        first, second = to_pixels(before, f"input {index}"), to_pixels(after, f"output {index}")
        if first.shape != second.shape:
            raise FilterError(f"pair {index} has the shapes {first.shape} and {second.shape}: give one size")
        pairs.append((first, second))
    return pairs


def score_each(pairs: Sequence[tuple[Pixels, Pixels]], score: Callable[[Pixels, Pixels], float]) -> Score:
    """Scores each pair by itself: float32 (N,)."""
    return np.array([score(*pair) for pair in pairs], np.float32)
