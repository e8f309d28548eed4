from __future__ import annotations

import numpy as np
import pytest

from filters.errors import FilterError
from filters.measures.measure import pair_pixels

IMAGES = np.zeros((2, 16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("outputs", "match"),
    [(IMAGES[:1], "2 inputs, 1 outputs"), (np.zeros((2, 8, 16, 3), np.uint8), "pair 0 has the shapes")],
)
def test_images_that_do_not_pair_are_an_error(outputs: np.ndarray, match: str) -> None:
    with pytest.raises(FilterError, match=match):
        pair_pixels(IMAGES, outputs)
