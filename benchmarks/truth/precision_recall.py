"""Precision and recall of scores and thresholds, and thresholds fitted by cross-validation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FOLDS = 8
QUANTILES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Curve:
    """Precision and recall of the candidates that score at least ``threshold``, from the highest threshold down."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def area(self) -> float:
        """Average precision: each step of recall, weighted by the precision reached there."""
        return float((np.diff(self.recall, prepend=0) * self.precision).sum())

    def precision_at(self, recall: float) -> float:
        """The best precision with that recall or more."""
        return float(self.precision[self.recall >= recall - 1e-12].max())


def curve(score: np.ndarray, right: np.ndarray) -> Curve:
    """The curve of N scores; ``right`` is bool (N,), not all false. Equal scores pass together."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], np.cumsum(right[order])
    last = np.append(ranked[1:] != ranked[:-1], True)
    passing = np.arange(1, len(score) + 1)[last]
    return Curve(ranked[last], hits[last] / passing, hits[last] / hits[-1])


def point(passes: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Precision (1 if nothing passes) and recall of a choice, bool (N,)."""
    hits = (passes & right).sum()
    return float(hits / passes.sum()) if passes.any() else 1.0, float(hits / right.sum())


def passing(scores: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Bool (N,): candidates of which all scores (S, N) reach their thresholds, compared as by the filter."""
    return np.all(scores >= np.array(thresholds, dtype=np.float32)[:, None], axis=0)


def margin(scores: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    """(N,) the least excess of the scores (S, N) over their thresholds, in standard deviations of each score.

    Cutting it at other values moves all thresholds in lockstep; 0 leaves them as they are.
    """
    return ((scores - np.array(thresholds)[:, None]) / scores.std(1, keepdims=True)).min(0)


def folds(group: np.ndarray) -> list[np.ndarray]:
    """`FOLDS` masks, bool (N,) each, of candidates by group; every group is in exactly one."""
    shuffled = np.random.default_rng(0).permutation(int(group.max()) + 1)
    masks = [np.isin(group, part) for part in np.array_split(shuffled, FOLDS)]
    return [mask for mask in masks if mask.any()]


def fit_thresholds(scores: np.ndarray, right: np.ndarray, recall: float) -> tuple[float, ...]:
    """The thresholds of the scores (S, N), to 0.01, with the best precision at that recall or more.

    Each is tried at some quantiles of the right candidates' scores, the lowest of which lets all of them pass.
    """
    grid = [np.floor(np.quantile(score[right], QUANTILES) * 100) / 100 for score in scores]
    masks = [[score >= level for level in levels] for score, levels in zip(scores, grid, strict=True)]
    rated = []
    for levels in itertools.product(range(len(QUANTILES)), repeat=len(scores)):
        passes = np.logical_and.reduce([mask[k] for mask, k in zip(masks, levels, strict=True)])
        precision, reached = point(passes, right)
        if reached >= recall:
            rated.append((precision, reached, levels))
    return tuple(float(values[k]) for values, k in zip(grid, max(rated)[2], strict=True))


def cross_validate(scores: np.ndarray, right: np.ndarray, group: np.ndarray, recall: float) -> np.ndarray:
    """Bool (N,): candidates that pass thresholds fitted on the groups of the other folds."""
    passes = np.zeros(len(right), bool)
    for fold in folds(group):
        passes[fold] = (
            scores[:, fold] >= np.array(fit_thresholds(scores[:, ~fold], right[~fold], recall))[:, None]
        ).all(0)
    return passes
