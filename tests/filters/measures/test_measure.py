from __future__ import annotations

import math

import numpy as np
import pytest

from filters.errors import FilterError
from filters.measures.measure import Bounds, outside, paired

IMAGES = np.zeros((2, 16, 16, 3), np.uint8)


def test_the_first_measure_out_of_its_bounds_is_the_reason() -> None:
    scores = {
        "area": np.array([0.1, 0.5, 0.9, math.nan], np.float32),
        "likeness": np.array([0.9, 0.9, 0.2, 0.9], np.float32),
    }
    bounds = {"likeness": Bounds(least=0.5), "area": Bounds(0.2, 0.95)}
    assert outside(scores, bounds, 4) == ["area", "", "likeness", "area"]


def test_the_ends_are_within_in_the_width_that_scores_are_stored_in() -> None:
    score = {"area": np.array([0.1, 0.3], np.float32)}
    assert outside(score, {"area": Bounds(0.1, 0.3)}, 2) == ["", ""]


def test_bounds_that_nothing_lies_between_are_an_error() -> None:
    for least, most in ((0.5, 0.4), (math.nan, 1.0)):
        with pytest.raises(FilterError, match="give least below most"):
            Bounds(least, most)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [(IMAGES[:1], "2 inputs, 1 outputs"), (np.zeros((2, 8, 16, 3), np.uint8), "pair 0 has the shapes")],
)
def test_images_that_are_no_pairs_are_named(outputs: np.ndarray, said: str) -> None:
    with pytest.raises(FilterError, match=said):
        paired(IMAGES, outputs)
