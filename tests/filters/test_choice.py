from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import filters
from filters import (
    Bounds,
    ClipScores,
    FilterError,
    Thresholds,
    choose,
    find_missed_bounds,
    find_missed_thresholds,
)

NAMES = ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
# Few values, so that equal scores and scores at a threshold are frequent.
VALUES = st.sampled_from([-1.0, 0.0, 0.1, 0.2, 0.3, 0.7, 0.75, 1.0])


def make(rows: list[tuple[float, float, float, float]]) -> ClipScores:
    columns = np.array(rows, dtype=np.float32).reshape(-1, 4)
    return ClipScores(*columns.T)


def without(scores: ClipScores, row: int) -> ClipScores:
    return ClipScores(*(np.delete(getattr(scores, name), row) for name in NAMES))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[int], ClipScores, Thresholds]:
    rows = draw(st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), max_size=12))
    samples = draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    limits = draw(st.tuples(VALUES, VALUES, VALUES, VALUES))
    return samples, make(rows), Thresholds(*limits, max_per_pair=draw(st.integers(1, 5)))


def passes(scores: ClipScores, thresholds: Thresholds, row: int) -> bool:
    return all(getattr(scores, name)[row] >= np.float32(getattr(thresholds, name)) for name in NAMES)


@given(pairs())
def test_kept_candidates_pass_once_a_sample_up_to_the_maximum(case) -> None:
    samples, scores, thresholds = case
    reasons = choose(samples, scores, thresholds)
    kept = [row for row, reason in enumerate(reasons) if not reason]
    passing = [row for row in range(len(samples)) if passes(scores, thresholds, row)]
    assert set(kept) <= set(passing)
    assert len(kept) == min(len({samples[row] for row in passing}), thresholds.max_per_pair)
    assert len({samples[row] for row in kept}) == len(kept)


@given(pairs())
def test_every_reason_is_true(case) -> None:
    samples, scores, thresholds = case
    reasons = choose(samples, scores, thresholds)
    kept = [row for row, reason in enumerate(reasons) if not reason]
    for row, reason in enumerate(reasons):
        better = [other for other in kept if scores.clip_sim_dir[other] >= scores.clip_sim_dir[row]]
        if reason == "other_tau_of_seed":
            assert any(samples[other] == samples[row] for other in better)
        elif reason == "max_per_pair":
            assert len(better) == thresholds.max_per_pair
            assert samples[row] not in {samples[other] for other in kept}
        elif reason:
            assert getattr(scores, reason)[row] < np.float32(getattr(thresholds, reason))
            before = NAMES[: NAMES.index(reason)]
            assert all(getattr(scores, name)[row] >= np.float32(getattr(thresholds, name)) for name in before)


@given(pairs())
def test_rejected_candidates_do_not_change_the_choice(case) -> None:
    samples, scores, thresholds = case
    reasons = choose(samples, scores, thresholds)
    for row, reason in enumerate(reasons):
        if reason:
            rest = choose(samples[:row] + samples[row + 1 :], without(scores, row), thresholds)
            kept = [reason for index, reason in enumerate(reasons) if index != row]
            assert [not reason for reason in rest] == [not reason for reason in kept]


@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_unequal_candidates_does_not_matter(case, random) -> None:
    samples, scores, thresholds = case
    scores = dataclasses.replace(scores, clip_sim_dir=np.linspace(-0.5, 1, len(samples), dtype=np.float32))
    order = list(range(len(samples)))
    random.shuffle(order)
    shuffled = ClipScores(*(getattr(scores, name)[order] for name in NAMES))
    reasons = choose(samples, scores, thresholds)
    assert choose([samples[row] for row in order], shuffled, thresholds) == [reasons[row] for row in order]


def test_the_best_direction_comes_first_and_equals_in_order() -> None:
    scores = make([(1, 1, 0.3, 1), (1, 1, 0.5, 1), (1, 1, 0.5, 1), (1, 1, 0.4, 1), (1, 1, 0.9, 0)])
    assert choose([0, 0, 1, 2, 3], scores, Thresholds(max_per_pair=2)) == [
        "other_tau_of_seed",
        "",
        "",
        "max_per_pair",
        "clip_sim_image",
    ]


def test_a_score_at_its_threshold_passes_and_one_below_fails() -> None:
    just_below = float(np.nextafter(np.float32(0.7), np.float32(0)))
    limits = Thresholds(0.7, 0.7, 0.7, 0.7)
    assert find_missed_thresholds(make([(0.7, 0.7, 0.7, 0.7)]), limits) == [""]
    for column, name in enumerate(NAMES):
        row = [0.7] * 4
        row[column] = just_below
        assert find_missed_thresholds(make([tuple(row)]), limits) == [name]


def test_the_first_missed_threshold_is_the_reason_and_nan_fails() -> None:
    nan = float("nan")
    scores = make([(0, 0, 0, 0), (nan, 1, 1, 1), (1, 1, nan, 0)])
    assert find_missed_thresholds(scores, Thresholds()) == ["clip_sim_0", "clip_sim_0", "clip_sim_dir"]
    assert "" not in find_missed_thresholds(make([(1, 1, nan, 1)]), Thresholds(-1, -1, -1, -1))


def test_the_defaults_are_those_of_instructpix2pix() -> None:
    assert dataclasses.astuple(filters.Thresholds()) == (0.2, 0.2, 0.2, 0.75, 4)


def test_bad_thresholds_and_lengths_are_errors() -> None:
    with pytest.raises(FilterError, match="clip_sim_dir is not a number"):
        Thresholds(clip_sim_dir=float("nan"))
    with pytest.raises(FilterError, match="max_per_pair is 0: give 1 or more"):
        Thresholds(max_per_pair=0)
    with pytest.raises(FilterError, match="2 sample indices for 1 scores"):
        choose([0, 1], make([(1, 1, 1, 1)]), Thresholds())


def test_the_first_measure_out_of_its_bounds_is_the_reason() -> None:
    scores = {
        "area": np.array([0.1, 0.5, 0.9, math.nan], np.float32),
        "likeness": np.array([0.9, 0.9, 0.2, 0.9], np.float32),
    }
    bounds = {"likeness": Bounds(least=0.5), "area": Bounds(0.2, 0.95)}
    assert find_missed_bounds(scores, bounds, 4) == ["area", "", "likeness", "area"]


def test_bounds_are_inclusive_in_float32() -> None:
    score = {"area": np.array([0.1, 0.3], np.float32)}
    assert find_missed_bounds(score, {"area": Bounds(0.1, 0.3)}, 2) == ["", ""]


def test_bounds_that_nothing_lies_between_are_an_error() -> None:
    for least, most in ((0.5, 0.4), (math.nan, 1.0)):
        with pytest.raises(FilterError, match="give least below most"):
            Bounds(least, most)


def test_a_candidate_that_a_measure_rejects_is_not_chosen() -> None:
    scores = ClipScores(*(np.full(3, 0.9, np.float32) for _ in range(4)))
    thresholds = Thresholds(0.2, 0.2, 0.2, 0.2)
    assert choose([0, 1, 1], scores, thresholds, ["ssim", "ssim", ""]) == ["ssim", "ssim", ""]
    with pytest.raises(FilterError, match="2 measured reasons for 3 scores"):
        choose([0, 1, 1], scores, thresholds, ["", ""])
