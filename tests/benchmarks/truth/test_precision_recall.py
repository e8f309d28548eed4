"""Curves against counting by hand, and fits that keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.truth.precision_recall import (
    curve,
    fit_logistic,
    fit_thresholds,
    folds,
    logistic,
    margin,
    point,
)

SCORED = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=60)


@given(SCORED)
def test_precision_and_recall_are_those_of_a_hand_count(scored: list[tuple[int, bool]]) -> None:
    score = np.array([value for value, _ in scored], dtype=float)
    right = np.array([flag for _, flag in scored])
    assume(right.any())
    found = curve(score, right)
    assert found.threshold.tolist() == sorted(set(score.tolist()), reverse=True)
    for threshold, precision, recall in zip(found.threshold, found.precision, found.recall, strict=True):
        passed = [flag for value, flag in scored if value >= threshold]
        assert precision == pytest.approx(sum(passed) / len(passed))
        assert recall == pytest.approx(sum(passed) / right.sum())
        assert point(score >= threshold, right) == pytest.approx((precision, recall))
    assert (np.diff(found.recall) >= 0).all()
    assert found.recall[-1] == 1
    assert 0 < found.area <= 1


def test_a_score_that_knows_the_truth_has_all_the_area() -> None:
    right = np.arange(20) % 3 == 0
    assert curve(right.astype(float), right).area == pytest.approx(1)
    assert curve(np.zeros(20), right).area == pytest.approx(right.mean())
    assert curve(right.astype(float), right).at(0.7) == pytest.approx(1)


@given(st.integers(0, 1000))
def test_a_margin_of_nothing_is_what_reaches_all_thresholds(seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(0, 1, (4, 50))
    thresholds = (0.1, 0.2, 0.3, 0.4)
    assert ((margin(scores, thresholds) >= 0) == (scores >= np.array(thresholds)[:, None]).all(0)).all()


@given(st.integers(0, 1000), st.integers(1, 40))
def test_each_group_is_held_out_once_and_whole(seed: int, groups: int) -> None:
    group = np.random.default_rng(seed).integers(0, groups, 100)
    held = folds(group)
    assert (np.sum(held, axis=0) == 1).all()
    for one in held:
        assert not set(group[one]) & set(group[~one])


def test_a_logistic_regression_finds_the_weights_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 20_000)) * np.array([[1.0], [5.0], [0.2]])
    odds = 1.5 * x[0] - 0.4 * x[1] + 0.5
    right = rng.random(20_000) < 1 / (1 + np.exp(-odds))
    weights, bias = fit_logistic(x, right)
    assert weights == pytest.approx([1.5, -0.4, 0.0], abs=0.15)
    assert bias == pytest.approx(0.5, abs=0.1)
    noise = rng.random(20_000) < 0.3
    assert curve(logistic(x, right, np.arange(20_000) % 50), right).area > 0.8
    assert curve(logistic(x, noise, np.arange(20_000) % 50), noise).area < 0.34


@given(st.integers(0, 200))
def test_fitted_thresholds_keep_the_recall_and_are_the_best_of_their_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    right = rng.random(120) < 0.4
    assume(right.any())
    scores = rng.normal(size=(2, 120)) + np.array([[0.8], [0.1]]) * right
    thresholds = fit_thresholds(scores, right, 0.7)
    precision, recall = point((scores >= np.array(thresholds)[:, None]).all(0), right)
    assert recall >= 0.7
    lowest = np.floor(scores[:, right].min(1) * 100) / 100
    assert precision >= point((scores >= lowest[:, None]).all(0), right)[0]
