"""Precision and recall of scores and thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
