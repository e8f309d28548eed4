"""How much of the picture an edit changed."""

from __future__ import annotations

import numpy as np

from filters.errors import FilterError
from filters.measures.measure import Score, each, paired
from filters.measures.pixels import Images, Pixels


class ChangedArea:
    """The share of pixels, in [0, 1], of which a channel moved by more than `tolerance` of its range.

    An edit that changes nearly nothing was not carried out; one that changes nearly all of the picture is a new
    picture. What is too little or too much depends on the edits: a style changes everything.
    """

    def __init__(self, tolerance: float = 0.1) -> None:
        """Raises FilterError for a tolerance outside of [0, 1)."""
        if not 0 <= tolerance < 1:
            raise FilterError(f"tolerance is {tolerance}: give a share of the range, 0 or more and below 1")
        self.tolerance = tolerance

    def score(self, inputs: Images, outputs: Images) -> Score:
        """Raises FilterError as `paired` does."""

        def area(before: Pixels, after: Pixels) -> float:
            moved = np.abs(before.astype(np.int16) - after.astype(np.int16)).max(axis=2)
            return float((moved > 255 * self.tolerance).mean())

        return each(paired(inputs, outputs), area)
