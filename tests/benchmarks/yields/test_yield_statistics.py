from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.yields.sweep_log import PairRecord, Trial
from benchmarks.yields.yield_statistics import COLUMNS, EqualNumbers, equal_numbers, table, total

POOR = Trial(9, 0.5, 5.0, (0.8, 0.8, 0.1, 0.2), False)


def _pair(name: str, *kept: tuple[float, float], rows: int = 100) -> PairRecord:
    """A caption pair with kept candidates of so much sim_dir and sim_image, and one that is not kept."""
    tried = [
        Trial(k, 0.5, 5.0, (0.7, 0.7, direction, image), True) for k, (direction, image) in enumerate(kept)
    ]
    return PairRecord(name, "sky", rows, 1.0, (POOR, *tried))


def test_totals_of_kept_pairs_and_rows():
    result = total([_pair("a", (0.8, 0.9), (0.6, 0.7)), _pair("b", rows=60)])
    assert (result.pairs, result.served, result.kept, result.candidates, result.rows) == (2, 1, 2, 4, 160)
    assert result.rows_per_kept == 80
    assert (result.direction, result.image) == (pytest.approx(0.7), pytest.approx(0.8))
    assert total([_pair("b")]).rows_per_kept == float("inf")


def test_equal_numbers_are_the_best_of_pairs_served_by_both():
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
    result = equal_numbers(ours, theirs)
    assert result == EqualNumbers(
        3, (pytest.approx(0.8), pytest.approx(0.7)), (pytest.approx(0.7), pytest.approx(0.7))
    )
    assert equal_numbers([_pair("a")], theirs) is None


_SCORES = st.tuples(st.floats(0.1, 1), st.floats(0.1, 1))
_SWEEP = st.dictionaries(st.sampled_from("abcd"), st.lists(_SCORES, max_size=4))


@given(_SWEEP, _SWEEP)
def test_equal_numbers_are_symmetric_and_the_best_choice(kept: dict, other_kept: dict):
    ours, theirs = ([_pair(name, *scores) for name, scores in sweep.items()] for sweep in (kept, other_kept))
    result, reverse = equal_numbers(ours, theirs), equal_numbers(theirs, ours)
    counts = {name: min(len(kept[name]), len(other_kept[name])) for name in kept.keys() & other_kept.keys()}
    if not sum(counts.values()):
        assert result is None
        assert reverse is None
        return
    assert result is not None
    assert reverse is not None
    assert reverse.kept == result.kept
    assert reverse.direction == pytest.approx(result.direction[::-1])
    assert result.kept == sum(counts.values())
    for sweep, mean in ((kept, result.direction[0]), (other_kept, result.direction[1])):
        best = sum(
            max(sum(direction for direction, _ in some) for some in combinations(sweep[name], count))
            for name, count in counts.items()
        )
        assert mean == pytest.approx(best / result.kept)


def test_table_is_over_pairs_that_all_sweeps_have():
    base = [_pair("a", (0.8, 0.8), rows=1200), _pair("b", rows=800), _pair("c", (0.9, 0.9), rows=7)]
    fewer = [_pair("b", (0.4, 0.4), rows=100), _pair("a", (0.9, 0.7), (0.7, 0.7), rows=200)]
    header, _, *lines = table({"base": base, "fewer": fewer, "none": [_pair("a"), _pair("b")]}).splitlines()
    assert header == f"| {' | '.join(column.partition(':')[0] for column in COLUMNS)} |"
    first, second, third = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    assert first == ["base", "2", "1", "1", "3", "2,000", "2,000", "", "0.800", "0.800", "", ""]
    assert second[5:10] == ["300", "100", "20.0", "0.667", "0.600"]
    assert second[10:] == ["0.900 against 0.800", "0.700 against 0.800"]
    assert third == ["none", "2", "0", "0", "2", "200", "inf", "", "0.000", "0.000", "", ""]
