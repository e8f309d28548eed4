"""``pairforge tune OUT``: what each threshold would keep at other values, from the scores of a run alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from conf.compose import ConfigError
from conf.schema import Filter
from pipeline.report.report_data import read_report_data
from stages.candidates.early_scoring import LEFT_EARLY
from stages.candidates.scoring import CLIP_SCORES
from stages.kinds import kind_of
from stages.storage.store import Store

PICTURE = "report/tune.png"
VALUES = 9
ALL = "all"


@dataclass(frozen=True)
class Kept:
    """At one threshold: caption pairs with a sample, and samples."""

    threshold: float
    pairs: int
    samples: int


class Tuning:
    """The candidates of a run, ready to be chosen again under any thresholds."""

    def __init__(self, scores: pa.Table, kinds: Mapping[str, str]) -> None:
        """``scores``: every candidate. ``kinds``: of edit, by pair id; "" where it has none."""
        ids = scores["pair_id"].combine_chunks().dictionary_encode()
        self._scores = {name: scores[name].to_numpy().astype(np.float32) for name in CLIP_SCORES}
        pair = ids.indices.to_numpy().astype(np.int64)
        sample = scores["sample_index"].to_numpy().astype(np.int64)
        # A sample is one seed and guidance of a pair: at most one of its τ is kept.
        self._finished = scores["reason"].to_numpy(zero_copy_only=False) != LEFT_EARLY
        width = int(sample.max()) + 1 if len(sample) else 1
        distinct, self._sample = np.unique(pair * width + sample, return_inverse=True)
        self._pair_of_sample = distinct // width
        self._kind_of_pair = np.array([kinds.get(name, "") for name in ids.dictionary.to_pylist()])
        self.kinds = (ALL, *sorted(set(self._kind_of_pair.tolist()) - {""}))

    def pairs(self, kind: str = ALL) -> int:
        """Caption pairs with a candidate."""
        return int(self._of(kind).sum())

    def values(self, name: str, now: float) -> list[float]:
        """Thresholds to try for a score: from its 2nd to its 98th percentile, and what it is now."""
        low, high = np.percentile(self._scores[name], [2, 98])
        tried = {round(float(value), 2) for value in np.linspace(low, high, VALUES)}
        return sorted({*tried, now})

    def curve(self, name: str, values: Sequence[float], thresholds: Filter, kind: str = ALL) -> list[Kept]:
        """What is kept as the threshold of ``name`` takes each of ``values`` and the others stay.

        The choice is ``filters.choose``'s: at most one τ of a sample, at most ``max_per_pair`` samples of a pair.
        """
        passing = self._finished.copy()
        for other in CLIP_SCORES:
            if other != name:
                passing &= self._scores[other] >= np.float32(getattr(thresholds, other))
        best = np.full(len(self._pair_of_sample), -np.inf, np.float32)
        np.maximum.at(best, self._sample[passing], self._scores[name][passing])
        own = self._of(kind)
        return [self._kept(best, own, value, thresholds.max_per_pair) for value in values]

    def _of(self, kind: str) -> NDArray[np.bool_]:
        return np.ones(len(self._kind_of_pair), bool) if kind == ALL else self._kind_of_pair == kind

    def _kept(self, best: NDArray[np.float32], own: NDArray[np.bool_], value: float, most: int) -> Kept:
        reached = self._pair_of_sample[best >= np.float32(value)]
        counts = np.bincount(reached, minlength=len(own))[own]
        return Kept(value, int((counts > 0).sum()), int(np.minimum(counts, most).sum()))


def tune(out: str) -> int:
    """Show what other thresholds would keep: tables, and report/tune.png.

    Reads the scores of the run alone. Prints a table for each threshold.

    Raises PlanError for what is not the output of a run, ConfigError for one without a candidate.
    """
    store = Store(out)
    read = read_report_data(store)
    if not read.scores.num_rows:
        raise ConfigError(f"{store.url} has no candidates yet: there is nothing to choose among")
    tuning = Tuning(read.scores, {name: kind_of(pair) for name, pair in read.pairs.items()})
    console = Console(highlight=False)
    for name in CLIP_SCORES:
        console.print(f"filter.{name}: caption pairs kept", style="bold")
        console.print(_table(tuning, name, read.config.filter), "")
    store.write(PICTURE, draw(tuning, read.config.filter))
    console.print(
        f"* is what the run had; the other thresholds stay as they were. Drawn in {store.path(PICTURE)}",
        soft_wrap=True,
    )
    return 0


def _table(tuning: Tuning, name: str, now: Filter) -> Table:
    table = Table(box=None)
    for column in ("reach", "samples", *tuning.kinds):
        table.add_column(column, justify="right", no_wrap=True)
    values = tuning.values(name, getattr(now, name))
    curves = [tuning.curve(name, values, now, kind) for kind in tuning.kinds]
    for row, value in enumerate(values):
        mark = "*" if value == getattr(now, name) else ""
        counts = (str(curve[row].pairs) for curve in curves)
        table.add_row(f"{mark}{value:.2f}", str(curves[0][row].samples), *counts)
    return table


def draw(tuning: Tuning, now: Filter) -> bytes:
    """The curves as a PNG: a panel a score, a line a kind of edit, the present thresholds upright."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, name in zip(figure.subplots(2, 2).flat, CLIP_SCORES, strict=True):
        present = getattr(now, name)
        values = sorted({*np.linspace(*_ends(tuning.values(name, present)), 60).tolist(), present})
        for kind in tuning.kinds:
            shares = [100 * kept.pairs / tuning.pairs(kind) for kept in tuning.curve(name, values, now, kind)]
            axes.plot(values, shares, label=kind, linewidth=2.4 if kind == ALL else 1.2)
        axes.axvline(present, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel(f"filter.{name}")
        axes.set_ylabel("caption pairs kept, %")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    if len(tuning.kinds) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(tuning.kinds))
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return values[0], values[-1]
