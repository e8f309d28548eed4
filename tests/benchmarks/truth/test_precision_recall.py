"""Curves against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.truth.precision_recall import curve, margin, passing, point

SCORED = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=60)


@given(SCORED)
def test_curve_equals_count_by_hand(scored: list[tuple[int, bool]]) -> None:
    score = np.array([value for value, _ in scored], dtype=float)
    right = np.array([flag for _, flag in scored])
    assume(right.any())
    result = curve(score, right)
    assert result.threshold.tolist() == sorted(set(score.tolist()), reverse=True)
    for threshold, precision, recall in zip(result.threshold, result.precision, result.recall, strict=True):
        passed = [flag for value, flag in scored if value >= threshold]
        assert precision == pytest.approx(sum(passed) / len(passed))
        assert recall == pytest.approx(sum(passed) / right.sum())
        assert point(score >= threshold, right) == pytest.approx((precision, recall))
    assert (np.diff(result.recall) >= 0).all()
    assert result.recall[-1] == 1
    assert 0 < result.area <= 1


def test_perfect_score_has_area_one() -> None:
    right = np.arange(20) % 3 == 0
    assert curve(right.astype(float), right).area == pytest.approx(1)
    assert curve(np.zeros(20), right).area == pytest.approx(right.mean())
    assert curve(right.astype(float), right).precision_at(0.7) == pytest.approx(1)


@given(st.integers(0, 1000))
def test_margin_zero_reaches_all_thresholds(seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(0, 1, (4, 50))
    thresholds = (0.1, 0.2, 0.3, 0.4)
    assert ((margin(scores, thresholds) >= 0) == passing(scores, thresholds)).all()
