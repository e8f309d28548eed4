from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.yields.sweep_log import Recorded, Tried
from benchmarks.yields.yield_statistics import COLUMNS, Equals, equal_numbers, lines, yielded

POOR = Tried(9, 0.5, 5.0, (0.8, 0.8, 0.1, 0.2), False)


def _pair(name: str, *kept: tuple[float, float], rows: int = 100) -> Recorded:
    """A caption pair with kept candidates of so much sim_dir and sim_image, and one that is not kept."""
    tried = [
        Tried(k, 0.5, 5.0, (0.7, 0.7, direction, image), True) for k, (direction, image) in enumerate(kept)
    ]
    return Recorded(name, "sky", rows, 1.0, (POOR, *tried))


def test_a_way_comes_to_its_kept_pairs_and_their_rows():
    found = yielded([_pair("a", (0.8, 0.9), (0.6, 0.7)), _pair("b", rows=60)])
    assert (found.pairs, found.served, found.kept, found.candidates, found.rows) == (2, 1, 2, 4, 160)
    assert found.rows_a_kept == 80
    assert (found.direction, found.image) == (pytest.approx(0.7), pytest.approx(0.8))
    assert yielded([_pair("b")]).rows_a_kept == float("inf")


def test_equal_numbers_are_the_best_of_the_pairs_that_both_serve():
    # Of a the best two of three, b as it is; c and d are not served by both, and e is not known to the other.
    ours = [
        _pair("a", (0.6, 0.1), (0.9, 0.7), (0.8, 0.9)),
        _pair("b", (0.7, 0.5)),
        _pair("c", (0.1, 0.1)),
        _pair("d"),
        _pair("e", (0.1, 0.1)),
    ]
    theirs = [
        _pair("d", (1, 1)),
        _pair("c"),
        _pair("b", (0.5, 0.6), (0.3, 1)),
        _pair("a", (0.9, 0.6), (0.7, 0.9)),
    ]
    found = equal_numbers(ours, theirs)
    assert found == Equals(
        3, (pytest.approx(0.8), pytest.approx(0.7)), (pytest.approx(0.7), pytest.approx(0.7))
    )
    assert equal_numbers([_pair("a")], theirs) is None


_SCORES = st.tuples(st.floats(0.1, 1), st.floats(0.1, 1))
_WAY = st.dictionaries(st.sampled_from("abcd"), st.lists(_SCORES, max_size=4))


@given(_WAY, _WAY)
def test_equal_numbers_are_equal_both_ways_and_no_worse_than_any_other_choice(one: dict, other: dict):
    ours, theirs = ([_pair(name, *kept) for name, kept in way.items()] for way in (one, other))
    found, turned = equal_numbers(ours, theirs), equal_numbers(theirs, ours)
    counts = {name: min(len(one[name]), len(other[name])) for name in one.keys() & other.keys()}
    if not sum(counts.values()):
        assert found is None
        assert turned is None
        return
    assert found is not None
    assert turned is not None
    assert turned.kept == found.kept
    assert turned.direction == pytest.approx(found.direction[::-1])
    assert found.kept == sum(counts.values())
    for way, mean in ((one, found.direction[0]), (other, found.direction[1])):
        best = sum(
            max(sum(direction for direction, _ in some) for some in combinations(way[name], count))
            for name, count in counts.items()
        )
        assert mean == pytest.approx(best / found.kept)


def test_a_table_is_over_the_pairs_that_all_ways_have():
    base = [_pair("a", (0.8, 0.8), rows=1200), _pair("b", rows=800), _pair("c", (0.9, 0.9), rows=7)]
    own = [_pair("b", (0.4, 0.4), rows=100), _pair("a", (0.9, 0.7), (0.7, 0.7), rows=200)]
    first, second, third = lines({"base": base, "own": own, "none": [_pair("a"), _pair("b")]})
    assert len(first) == len(COLUMNS)
    assert first == ["base", "2", "1", "1", "3", "2,000", "2,000", "", "0.800", "0.800", "", ""]
    assert second[5:10] == ["300", "100", "20.0", "0.667", "0.600"]
    assert second[10:] == ["0.900 against 0.800", "0.700 against 0.800"]
    assert third == ["none", "2", "0", "0", "2", "200", "inf", "", "0.000", "0.000", "", ""]
