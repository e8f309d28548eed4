"""``pairforge tune OUT``: counts what other thresholds would keep, from the scores of a run alone."""

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
from stages.records import instruction_kind
from stages.storage.store import Store

PICTURE = "report/tune.png"
VALUES = 9
ALL = "all"


@dataclass(frozen=True)
class KeptCounts:
    """Caption pairs with a sample, and samples, at one threshold."""

    threshold: float
    pairs: int
    samples: int


class Tuning:
    """The candidates of a run, ready to be chosen again under any thresholds."""

    def __init__(self, scores: pa.Table, kinds: Mapping[str, str]) -> None:
        """``scores``: every candidate. ``kinds``: the kind of edit by pair id, "" for none."""
        ids = scores["pair_id"].combine_chunks().dictionary_encode()
        self._scores = {name: scores[name].to_numpy().astype(np.float32) for name in CLIP_SCORES}
        self._finished = scores["reason"].to_numpy(zero_copy_only=False) != LEFT_EARLY
        pair = ids.indices.to_numpy().astype(np.int64)
        sample_index = scores["sample_index"].to_numpy().astype(np.int64)
        # A sample is one seed and guidance of a pair: at most one of its τ is kept.
        samples_per_pair = int(sample_index.max()) + 1 if len(sample_index) else 1
        samples, self._sample = np.unique(pair * samples_per_pair + sample_index, return_inverse=True)
        self._pair_of_sample = samples // samples_per_pair
        self._kind_of_pair = np.array([kinds.get(name, "") for name in ids.dictionary.to_pylist()])
        self.kinds = (ALL, *sorted(set(self._kind_of_pair.tolist()) - {""}))

    def pairs(self, kind: str = ALL) -> int:
        """Return the number of caption pairs of a kind that have a candidate."""
        return int(self._is_kind(kind).sum())

    def values(self, name: str, present: float) -> list[float]:
        """Return thresholds to try for a score: from its 2nd to its 98th percentile, and the present one."""
        low, high = np.percentile(self._scores[name], [2, 98])
        return sorted({*(round(float(value), 2) for value in np.linspace(low, high, VALUES)), present})

    def curve(
        self, name: str, values: Sequence[float], thresholds: Filter, kind: str = ALL
    ) -> list[KeptCounts]:
        """Count what is kept as the threshold of ``name`` takes each of ``values`` and the others stay.

        The choice is that of ``filters.choose``: at most one τ of a sample and ``max_per_pair`` samples of a pair.
        """
        passing = self._finished.copy()
        for other in CLIP_SCORES:
            if other != name:
                passing &= self._scores[other] >= np.float32(getattr(thresholds, other))
        best = np.full(len(self._pair_of_sample), -np.inf, np.float32)
        np.maximum.at(best, self._sample[passing], self._scores[name][passing])
        is_kind, curve = self._is_kind(kind), []
        for value in values:
            pairs = self._pair_of_sample[best >= np.float32(value)]
            samples = np.minimum(np.bincount(pairs, minlength=len(is_kind))[is_kind], thresholds.max_per_pair)
            curve.append(KeptCounts(value, int((samples > 0).sum()), int(samples.sum())))
        return curve

    def _is_kind(self, kind: str) -> NDArray[np.bool_]:
        return np.ones(len(self._kind_of_pair), bool) if kind == ALL else self._kind_of_pair == kind


def tune(out: str) -> int:
    """Show what other thresholds would keep: tables, and report/tune.png.

    Reads the scores of the run alone. Prints a table for each threshold.

    Raises PlanError for what is not the output of a run, ConfigError for one without a candidate.
    """
    store = Store(out)
    run = read_report_data(store)
    if not run.scores.num_rows:
        raise ConfigError(f"{store.url} has no candidates yet: let the run make some first")
    tuning = Tuning(run.scores, {name: instruction_kind(pair) for name, pair in run.pairs.items()})
    console = Console(highlight=False)
    for name in CLIP_SCORES:
        console.print(f"filter.{name}: caption pairs kept", style="bold")
        console.print(_table(tuning, name, run.config.filter), "")
    store.write(PICTURE, draw(tuning, run.config.filter))
    console.print(
        f"* is what the run had; the other thresholds stay as they were. Drawn in {store.path(PICTURE)}",
        soft_wrap=True,
    )
    return 0


def _table(tuning: Tuning, name: str, thresholds: Filter) -> Table:
    table = Table(box=None)
    for column in ("reach", "samples", *tuning.kinds):
        table.add_column(column, justify="right", no_wrap=True)
    present = getattr(thresholds, name)
    values = tuning.values(name, present)
    curves = [tuning.curve(name, values, thresholds, kind) for kind in tuning.kinds]
    for value, *counts in zip(values, *curves, strict=True):
        mark = "*" if value == present else ""
        table.add_row(f"{mark}{value:.2f}", str(counts[0].samples), *(str(count.pairs) for count in counts))
    return table


def draw(tuning: Tuning, thresholds: Filter) -> bytes:
    """Draw the curves as a PNG: a panel for each score, a line for each kind of edit, the present threshold upright."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, name in zip(figure.subplots(2, 2).flat, CLIP_SCORES, strict=True):
        present = getattr(thresholds, name)
        tried = tuning.values(name, present)
        values = sorted({*np.linspace(tried[0], tried[-1], 60).tolist(), present})
        for kind in tuning.kinds:
            curve = tuning.curve(name, values, thresholds, kind)
            shares = [100 * kept.pairs / tuning.pairs(kind) for kept in curve]
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
