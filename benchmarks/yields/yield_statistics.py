"""What ways of sweeping came to over caption pairs: rows for a kept pair, and means in equal numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.yields.sweep_log import Recorded, Tried

DIRECTION, IMAGE = 2, 3
"""The places of sim_dir and sim_image among a candidate's scores."""
COLUMNS = (
    "way",
    "pairs",
    "served",
    "kept",
    "candidates",
    "rows",
    "rows a kept pair",
    "times fewer",
    "sim_dir",
    "sim_image",
    "sim_dir, equal numbers",
    "sim_image, equal numbers",
)


@dataclass(frozen=True)
class Yielded:
    """What a way came to over some caption pairs: ``direction`` and ``image`` are the means of the kept."""

    pairs: int
    served: int
    kept: int
    candidates: int
    rows: int
    direction: float
    image: float

    @property
    def rows_a_kept(self) -> float:
        """Denoiser rows for each kept pair of images."""
        return self.rows / self.kept if self.kept else float("inf")


@dataclass(frozen=True)
class Equals:
    """Two ways' best in equal numbers: ``kept`` of each, and the means of the one's and of the other's."""

    kept: int
    direction: tuple[float, float]
    image: tuple[float, float]


def yielded(recorded: Sequence[Recorded]) -> Yielded:
    """The sums over caption pairs."""
    kept = [one for pair in recorded for one in pair.candidates if one.kept]
    return Yielded(
        pairs=len(recorded),
        served=sum(any(one.kept for one in pair.candidates) for pair in recorded),
        kept=len(kept),
        candidates=sum(len(pair.candidates) for pair in recorded),
        rows=sum(pair.rows for pair in recorded),
        direction=_mean(kept, DIRECTION),
        image=_mean(kept, IMAGE),
    )


def equal_numbers(one: Sequence[Recorded], other: Sequence[Recorded]) -> Equals | None:
    """Of each caption pair that both serve, as many of the best of both, by sim_dir, as the one with fewer kept.

    So serving hard pairs too does not count against a way. None where there is no pair that both serve.
    """
    others = {pair.pair: _best_first(pair) for pair in other}
    own: list[Tried] = []
    against: list[Tried] = []
    for pair in one:
        ours, theirs = _best_first(pair), others.get(pair.pair, [])
        count = min(len(ours), len(theirs))
        own += ours[:count]
        against += theirs[:count]
    if not own:
        return None
    return Equals(
        len(own),
        (_mean(own, DIRECTION), _mean(against, DIRECTION)),
        (_mean(own, IMAGE), _mean(against, IMAGE)),
    )


def common(ways: Mapping[str, Sequence[Recorded]]) -> dict[str, list[Recorded]]:
    """Of each way the caption pairs that all of them have."""
    pairs = set.intersection(*({one.pair for one in recorded} for recorded in ways.values()))
    return {way: [one for one in recorded if one.pair in pairs] for way, recorded in ways.items()}


def lines(ways: Mapping[str, Sequence[Recorded]]) -> list[list[str]]:
    """A line a way, by `COLUMNS`: the first is what the others are compared with, over the pairs that all have."""
    shared = common(ways)
    first = next(iter(shared))
    base = yielded(shared[first])
    found = []
    for way, recorded in shared.items():
        own = yielded(recorded)
        equal = equal_numbers(recorded, shared[first]) if way != first else None
        fewer = "" if way == first or not own.kept else f"{base.rows_a_kept / own.rows_a_kept:.1f}"
        found.append(
            [
                way,
                *(f"{count:,}" for count in (own.pairs, own.served, own.kept, own.candidates, own.rows)),
                f"{own.rows_a_kept:,.0f}",
                fewer,
                f"{own.direction:.3f}",
                f"{own.image:.3f}",
                *(_against(means) for means in ((equal.direction, equal.image) if equal else (None, None))),
            ]
        )
    return found


def _against(means: tuple[float, float] | None) -> str:
    return f"{means[0]:.3f} against {means[1]:.3f}" if means else ""


def _best_first(pair: Recorded) -> list[Tried]:
    return sorted((one for one in pair.candidates if one.kept), key=lambda one: -one.scores[DIRECTION])


def _mean(kept: Sequence[Tried], score: int) -> float:
    return fmean(one.scores[score] for one in kept) if kept else 0.0
