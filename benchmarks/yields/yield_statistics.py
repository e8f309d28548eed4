"""Compares sweeps over caption pairs: rows for a kept pair, and mean scores in equal numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.common.markdown import markdown_table
from benchmarks.yields.sweep_log import PairRecord, Trial
from stages.candidates.scoring import CLIP_SCORES

DIRECTION, IMAGE = CLIP_SCORES.index("clip_sim_dir"), CLIP_SCORES.index("clip_sim_image")
COLUMNS = (
    *("sweep", "pairs:,", "served:,", "kept:,", "candidates:,", "rows:,", "rows a kept pair:,.0f"),
    *(
        "times fewer:.1f",
        "sim_dir:.3f",
        "sim_image:.3f",
        "sim_dir, equal numbers",
        "sim_image, equal numbers",
    ),
)


@dataclass(frozen=True)
class Yield:
    """The totals of a sweep over some caption pairs, and the mean scores of its kept candidates."""

    pairs: int
    served: int
    kept: int
    candidates: int
    rows: int
    direction: float
    image: float

    @property
    def rows_per_kept(self) -> float:
        """Denoiser rows for each kept pair of images."""
        return self.rows / self.kept if self.kept else float("inf")


@dataclass(frozen=True)
class EqualNumbers:
    """The best of two sweeps in equal numbers: ``kept`` of each, and both means of either score."""

    kept: int
    direction: tuple[float, float]
    image: tuple[float, float]


def total(records: Sequence[PairRecord]) -> Yield:
    """The totals over caption pairs."""
    kept = [trial for pair in records for trial in pair.candidates if trial.kept]
    return Yield(
        pairs=len(records),
        served=sum(any(trial.kept for trial in pair.candidates) for pair in records),
        kept=len(kept),
        candidates=sum(len(pair.candidates) for pair in records),
        rows=sum(pair.rows for pair in records),
        direction=_mean(kept, DIRECTION),
        image=_mean(kept, IMAGE),
    )


def equal_numbers(records: Sequence[PairRecord], others: Sequence[PairRecord]) -> EqualNumbers | None:
    """The best by sim_dir of each caption pair, as many of one sweep as of the other.

    Keeping more of a pair, or serving harder pairs, then does not lower a sweep's means. None if no pair is served by
    both.
    """
    other_best = {pair.pair: _best_first(pair) for pair in others}
    best: list[Trial] = []
    against: list[Trial] = []
    for pair in records:
        ours, theirs = _best_first(pair), other_best.get(pair.pair, [])
        count = min(len(ours), len(theirs))
        best += ours[:count]
        against += theirs[:count]
    if not best:
        return None
    direction, image = ((_mean(best, score), _mean(against, score)) for score in (DIRECTION, IMAGE))
    return EqualNumbers(len(best), direction, image)


def table(sweeps: Mapping[str, Sequence[PairRecord]]) -> str:
    """Markdown by `COLUMNS`, over the pairs that all sweeps have; the others are compared with the first sweep."""
    pairs = set.intersection(*({pair.pair for pair in records} for records in sweeps.values()))
    common = {name: [pair for pair in records if pair.pair in pairs] for name, records in sweeps.items()}
    first, *_ = common.values()
    base = total(first)
    lines = []
    for name, records in common.items():
        yields = total(records)
        compared = records is not first
        fewer = base.rows_per_kept / yields.rows_per_kept if compared and yields.kept else ""
        equal = equal_numbers(records, first) if compared else None
        means = [f"{a:.3f} against {b:.3f}" for a, b in (equal.direction, equal.image)] if equal else ["", ""]
        counts = yields.pairs, yields.served, yields.kept, yields.candidates, yields.rows
        lines.append((name, *counts, yields.rows_per_kept, fewer, yields.direction, yields.image, *means))
    return markdown_table(COLUMNS, lines)


def _best_first(pair: PairRecord) -> list[Trial]:
    kept = (trial for trial in pair.candidates if trial.kept)
    return sorted(kept, key=lambda trial: -trial.scores[DIRECTION])


def _mean(kept: Sequence[Trial], score: int) -> float:
    return fmean(trial.scores[score] for trial in kept) if kept else 0.0
