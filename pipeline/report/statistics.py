"""The numbers behind the figures: pure functions of the candidates' scores and the commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

BINS, BUCKETS, CLASSES = 40, 30, 8


@dataclass(frozen=True)
class Rate:
    """``kept`` of ``tried``, under one value of a setting."""

    label: str
    kept: int
    tried: int

    @property
    def share(self) -> float:
        return self.kept / self.tried if self.tried else 0.0


def by_number(values: np.ndarray, kept: np.ndarray) -> list[Rate]:
    """Keep rate over a setting: a rate a value, or of eight equal ranges where there are more values than that."""
    distinct = np.unique(values)
    if len(distinct) <= CLASSES * 2:
        return [
            Rate(f"{value:g}", int(kept[values == value].sum()), int((values == value).sum()))
            for value in distinct
        ]
    edges = np.linspace(distinct[0], distinct[-1], CLASSES + 1)
    place = classes(values, edges)
    return [
        Rate(f"{edges[k]:.2g}–{edges[k + 1]:.2g}", int(kept[place == k].sum()), int((place == k).sum()))
        for k in range(CLASSES)
    ]


def by_word(counted: Iterable[tuple[str, int, int]]) -> list[Rate]:
    """Rate over words, the most frequent twelve first; unnamed ones are left out.

    ``counted`` are a word, how many were kept and how many tried; a word may come again.
    """
    counts: dict[str, list[int]] = {}
    for word, kept, tried in counted:
        if word:
            count = counts.setdefault(word, [0, 0])
            count[0] += kept
            count[1] += tried
    rates = [Rate(word, *count) for word, count in counts.items()]
    return sorted(rates, key=lambda rate: (-rate.tried, rate.label))[:12]


def classes(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The index of the range each value lies in; the last edge belongs to the last range."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


@dataclass(frozen=True)
class Spread:
    """A score's quartiles over one τ."""

    tau: float
    low: float
    median: float
    high: float


def spread(taus: np.ndarray, score: np.ndarray) -> list[Spread]:
    """Quartiles of ``score`` at each τ, or at the middles of eight ranges where τ is drawn at random."""
    distinct = np.unique(taus)
    if len(distinct) <= CLASSES * 2:
        groups = [(float(tau), score[taus == tau]) for tau in distinct]
    else:
        edges = np.linspace(distinct[0], distinct[-1], CLASSES + 1)
        place = classes(taus, edges)
        groups = [(float(edges[k : k + 2].mean()), score[place == k]) for k in range(CLASSES)]
    return [Spread(tau, *np.percentile(own, [25, 50, 75])) for tau, own in groups if len(own)]


def throughput(times: Sequence[float], pairs: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Minutes since the first commit (the middle of each bucket), and caption pairs committed a minute in it.

    Empty without two commits at different times. The first commit opens the clock: its pairs are not counted.
    """
    at, done = np.asarray(times, dtype=float), np.asarray(pairs, dtype=float)
    if len(at) < 2 or at.max() == at.min():
        return np.empty(0), np.empty(0)
    order = np.argsort(at, kind="stable")[1:]
    minutes = (at[order] - at.min()) / 60
    edges = np.linspace(0, minutes.max(), min(BUCKETS, len(order)) + 1)
    totals = np.bincount(classes(minutes, edges), weights=done[order], minlength=len(edges) - 1)
    return (edges[:-1] + edges[1:]) / 2, totals / np.diff(edges)
