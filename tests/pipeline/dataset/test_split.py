from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.split import SPLITS, choose_split, find_problem

captions = st.text(min_size=1, max_size=40)
fractions = (
    st.lists(st.integers(0, 20), min_size=1, max_size=3)
    .filter(any)
    .map(lambda parts: [part / sum(parts) for part in parts])
)


@given(captions, fractions)
def test_a_caption_goes_to_a_split_that_is_not_empty(caption: str, parts: list[float]):
    assert find_problem(parts) == ""
    assert parts[SPLITS.index(choose_split(caption, parts))] > 0


@given(captions, fractions, st.floats(0, 1))
def test_a_smaller_training_share_keeps_captions_held_out(caption: str, parts: list[float], by: float):
    smaller = [parts[0] * by, *parts[1:2], 1 - parts[0] * by - sum(parts[1:2])]
    if choose_split(caption, parts) != "train":
        assert choose_split(caption, smaller) != "train" or parts[0] * by == parts[0]


@given(st.text("abcXYZ ", min_size=1), fractions)
def test_case_and_spacing_are_the_same_scene(caption: str, parts: list[float]):
    assert choose_split(caption, parts) == choose_split(f"  {caption.upper()}\t".replace(" ", "  "), parts)


def test_the_shares_match_the_fractions():
    parts = [0.8, 0.15, 0.05]
    found = [choose_split(f"caption {k}", parts) for k in range(20_000)]
    for name, share in zip(SPLITS, parts, strict=True):
        assert found.count(name) / len(found) == pytest.approx(share, abs=0.01)


def test_a_split_never_changes_between_versions():
    places = ("a house", "a red ball on grass", "snow")
    assert [choose_split(caption, [0.2, 0.3, 0.5]) for caption in places] == list(SPLITS)


@pytest.mark.parametrize("parts", [[], [0.5, 0.4], [1.2, -0.2], [0.25] * 4, [0.9, 0.2]])
def test_invalid_fractions_are_refused(parts: list[float]):
    assert find_problem(parts)
