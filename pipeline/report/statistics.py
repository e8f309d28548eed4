"""Statistics behind the charts: keep rates, quartiles and throughput, from scores and commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

BINS, BUCKETS, RANGES, WORDS = 40, 30, 8, 12


@dataclass(frozen=True)
class Rate:
    """``kept`` of ``tried`` candidates under one value of a setting."""

    label: str
    kept: int
    tried: int

    @property
    def share(self) -> float:
        return self.kept / self.tried if self.tried else 0.0


def rate_by_value(values: np.ndarray, kept: np.ndarray) -> list[Rate]:
    """The keep rate at each value of a setting, or in eight equal ranges if it has many values."""
    return [
        Rate(
            f"{low:g}" if low == high else f"{low:.2g}–{high:.2g}", int(kept[member].sum()), int(member.sum())
        )
        for low, high, member in _group(values)
    ]


def rate_by_word(counted: Iterable[tuple[str, int, int]]) -> list[Rate]:
    """The keep rates of the twelve most frequent words; leaves out the empty word.

    ``counted`` holds (word, kept, tried); a word may come several times.
    """
    kept_of, tried_of = Counter[str](), Counter[str]()
    for word, kept, tried in counted:
        kept_of[word] += kept
        tried_of[word] += tried
    rates = (Rate(word, kept_of[word], tried_of[word]) for word in tried_of if word)
    return sorted(rates, key=lambda rate: (-rate.tried, rate.label))[:WORDS]


@dataclass(frozen=True)
class Quartiles:
    """The quartiles of a score at one τ."""

    tau: float
    low: float
    median: float
    high: float


def quartiles_by_tau(taus: np.ndarray, score: np.ndarray) -> list[Quartiles]:
    """The quartiles of ``score`` at each τ, or at the middles of eight ranges if τ is drawn at random."""
    return [
        Quartiles((low + high) / 2, *np.percentile(score[member], [25, 50, 75]))
        for low, high, member in _group(taus)
        if member.any()
    ]


def throughput(
    times: Sequence[float] | np.ndarray, pairs: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minutes since the first commit (the middle of each bucket), and caption pairs committed per minute in it.

    Empty without two commits at different times. The pairs of the first commit do not count: it starts the clock.
    """
    at, done = np.asarray(times, dtype=float), np.asarray(pairs, dtype=float)
    if len(at) < 2 or at.max() == at.min():
        return np.empty(0), np.empty(0)
    order = np.argsort(at, kind="stable")[1:]
    minutes = (at[order] - at.min()) / 60
    edges = np.linspace(0, minutes.max(), min(BUCKETS, len(order)) + 1)
    totals = np.bincount(_find_range(minutes, edges), weights=done[order], minlength=len(edges) - 1)
    return (edges[:-1] + edges[1:]) / 2, totals / np.diff(edges)


def _group(values: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    """(low, high, mask of the values) of each distinct value, or of eight equal ranges if there are many."""
    distinct = np.unique(values)
    if len(distinct) <= RANGES * 2:
        return [(float(value), float(value), values == value) for value in distinct]
    edges = np.linspace(distinct[0], distinct[-1], RANGES + 1)
    index = _find_range(values, edges)
    return [(float(edges[k]), float(edges[k + 1]), index == k) for k in range(RANGES)]


def _find_range(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The index of each value's range; the last edge belongs to the last range."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
