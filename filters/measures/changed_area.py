"""Share of the pixels that an edit changed."""

from __future__ import annotations

import numpy as np

from filters.errors import FilterError
from filters.measures.measure import Score, pair_pixels, score_each
from filters.pixels import Images, Pixels


class ChangedArea:
    """The share of pixels, in [0, 1], in which a channel changed by more than `tolerance` of its range.

    An edit that changes almost nothing did not happen. One that changes almost everything made a new picture. The right
    bounds depend on the edits: a new style changes everything.
    """

    def __init__(self, tolerance: float = 0.1) -> None:
        """Raises FilterError for a tolerance outside of [0, 1)."""
        if not 0 <= tolerance < 1:
            raise FilterError(f"tolerance is {tolerance}: give a share of the range, 0 or more and below 1")
        self.tolerance = tolerance

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Measures the share of each pair: float32 (N,). Raises FilterError as `pair_pixels` does."""

        def area(before: Pixels, after: Pixels) -> float:
            change = np.abs(before.astype(np.int16) - after.astype(np.int16)).max(axis=2)
            return float((change > 255 * self.tolerance).mean())

        return score_each(pair_pixels(inputs, outputs), area)
