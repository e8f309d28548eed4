from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniworld.drawing.palette import FULL, PALETTE, SCALE, SIDE, mix
from miniworld.scene import COLOURS

CHANNEL = st.integers(0, 255)
COLOUR = st.tuples(CHANNEL, CHANNEL, CHANNEL)


def test_every_colour_that_a_caption_names_is_in_the_palette() -> None:
    assert tuple(PALETTE) == COLOURS
    assert (SIDE, FULL) == (64, SIDE * SCALE)


def test_colours_differ_by_more_than_a_style_changes_them() -> None:
    for a, b in itertools.combinations(PALETTE.values(), 2):
        assert np.linalg.norm(np.subtract(a, b)) > 60


@given(COLOUR, COLOUR, st.floats(0, 1))
def test_a_mixture_lies_between_its_colours(
    a: tuple[int, int, int], b: tuple[int, int, int], share: float
) -> None:
    assert mix(a, b, 0) == a
    assert mix(a, b, 1) == b
    for low, high, mixed in zip(a, b, mix(a, b, share), strict=True):
        assert min(low, high) <= mixed <= max(low, high)
        assert mixed == pytest.approx(low + share * (high - low), abs=0.51)
