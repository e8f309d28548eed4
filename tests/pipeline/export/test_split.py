from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.export.split import NAMES, problem, split_of

captions = st.text(min_size=1, max_size=40)
fractions = (
    st.lists(st.integers(0, 20), min_size=1, max_size=3)
    .filter(any)
    .map(lambda parts: [part / sum(parts) for part in parts])
)


@given(captions, fractions)
def test_a_caption_goes_to_a_split_that_is_not_empty(caption: str, parts: list[float]):
    assert problem(parts) == ""
    assert parts[NAMES.index(split_of(caption, parts))] > 0


@given(captions, fractions, st.floats(0, 1))
def test_a_smaller_share_of_training_takes_no_caption_into_training(
    caption: str, parts: list[float], by: float
):
    """What was held out stays held out."""
    smaller = [parts[0] * by, *parts[1:2], 1 - parts[0] * by - sum(parts[1:2])]
    if split_of(caption, parts) != "train":
        assert split_of(caption, smaller) != "train" or parts[0] * by == parts[0]


@given(st.text("abcXYZ ", min_size=1), fractions)
def test_case_and_spacing_are_the_same_scene(caption: str, parts: list[float]):
    assert split_of(caption, parts) == split_of(f"  {caption.upper()}\t".replace(" ", "  "), parts)


def test_the_shares_are_those_asked_for():
    parts = [0.8, 0.15, 0.05]
    found = [split_of(f"caption {k}", parts) for k in range(20_000)]
    for name, share in zip(NAMES, parts, strict=True):
        assert found.count(name) / len(found) == pytest.approx(share, abs=0.01)


def test_a_split_never_changes_between_versions():
    places = ("a house", "a red ball on grass", "snow")
    assert [split_of(caption, [0.2, 0.3, 0.5]) for caption in places] == list(NAMES)


@pytest.mark.parametrize("parts", [[], [0.5, 0.4], [1.2, -0.2], [0.25] * 4, [0.9, 0.2]])
def test_fractions_that_cannot_be(parts: list[float]):
    assert problem(parts)
