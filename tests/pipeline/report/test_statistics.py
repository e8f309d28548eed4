from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report import statistics

finite = st.floats(0, 1, allow_nan=False, width=32)


@given(st.lists(st.tuples(finite, st.booleans()), min_size=1, max_size=60))
def test_every_candidate_counts_in_one_rate(pairs):
    values, kept = np.array([v for v, _ in pairs]), np.array([k for _, k in pairs])
    rates = statistics.rate_by_value(values, kept)
    assert sum(rate.tried for rate in rates) == len(pairs)
    assert sum(rate.kept for rate in rates) == kept.sum()


def test_each_value_has_its_own_rate():
    rates = statistics.rate_by_value(np.array([0.2, 0.2, 0.8]), np.array([True, False, True]))
    assert [(rate.label, rate.share) for rate in rates] == [("0.2", 0.5), ("0.8", 1.0)]


def test_words_are_sorted_by_frequency_without_the_empty():
    rates = statistics.rate_by_word([("b", 1, 1), ("a", 0, 1), ("a", 1, 1), ("", 5, 5)])
    assert rates == [statistics.Rate("a", 1, 2), statistics.Rate("b", 1, 1)]


def test_quartiles_are_computed_at_each_tau():
    (low, high) = statistics.quartiles_by_tau(np.array([0.0, 0.0, 1.0]), np.array([1.0, 3.0, 5.0]))
    assert (low.median, high.median, high.low) == (2.0, 5.0, 5.0)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 9)), min_size=2, max_size=80))
def test_throughput_counts_every_pair_after_the_first_commit(commits):
    minutes, rate = statistics.throughput([at for at, _ in commits], [pairs for _, pairs in commits])
    times = [at for at, _ in commits]
    if max(times) == min(times):
        assert not len(minutes)
        return
    width = (max(times) - min(times)) / 60 / len(minutes)
    first = min(range(len(commits)), key=lambda index: times[index])
    assert (rate * width).sum() == pytest.approx(sum(p for _, p in commits) - commits[first][1])
