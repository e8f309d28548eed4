"""``pairforge tune OUT``: counts what other thresholds would keep, from the scores of a run alone."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from conf.config_errors import ConfigError
from conf.schema import Filter
from pipeline.output import OutputMode, output_mode
from pipeline.report.report_data import read_report_data
from stages.candidates.scoring import CLIP_SCORES, LEFT_EARLY
from stages.records import instruction_kind
from stages.storage.store import Store

PICTURE = "report/tune.png"
VALUES = 9
ALL = "all"


class Tuning:
    """The candidates of a run, ready to be chosen again under any thresholds."""

    def __init__(self, scores: pa.Table, kinds: Mapping[str, str]) -> None:
        """``scores``: every candidate. ``kinds``: the kind of edit by pair id, "" for none."""
        pair_ids = scores["pair_id"].to_pylist()
        counts = Counter(kinds.get(pair_id, "") for pair_id in set(pair_ids))
        self.pairs = {ALL: counts.total(), **{kind: counts[kind] for kind in sorted(counts) if kind}}
        """The number of caption pairs of each kind that have a candidate."""
        self._scores = scores
        kind_column = pa.array([kinds.get(pair_id, "") for pair_id in pair_ids], pa.string())
        self._finished = scores.append_column("kind", kind_column).filter(pc.field("reason") != LEFT_EARLY)

    def values(self, name: str, present: float) -> list[float]:
        """Return thresholds to try for a score: from its 2nd to its 98th percentile, and the present one."""
        low, high = np.percentile(self._scores[name].to_numpy(), [2, 98])
        return sorted({*(round(float(value), 2) for value in np.linspace(low, high, VALUES)), present})

    def curves(
        self, name: str, values: Sequence[float], thresholds: Filter
    ) -> dict[str, list[tuple[int, int]]]:
        """Count by kind the pairs and the samples kept under each of ``values`` for ``name``; the others stay.

        The choice is that of ``filters.choose``: at most one τ of a sample and ``max_per_pair`` samples of a pair.
        """
        passing = self._finished
        for other in CLIP_SCORES:
            if other != name:
                passing = passing.filter(pc.field(other) >= np.float32(getattr(thresholds, other)))
        # A sample is one seed and guidance of a pair: at most one of its τ is kept.
        best = passing.group_by(["kind", "pair_id", "sample_index"]).aggregate([(name, "max")])
        curves: dict[str, list[tuple[int, int]]] = {kind: [] for kind in self.pairs}
        for value in values:
            kept = best.filter(pc.field(f"{name}_max") >= np.float32(value))
            pairs = kept.group_by(["kind", "pair_id"]).aggregate([([], "count_all")])
            kinds = pairs["kind"].to_numpy()
            samples = np.minimum(pairs["count_all"].to_numpy(), thresholds.max_per_pair)
            for kind, curve in curves.items():
                of_kind = samples if kind == ALL else samples[kinds == kind]
                curve.append((len(of_kind), int(of_kind.sum())))
        return curves


def tune(out: str, quiet: bool, json: bool) -> int:
    """Show what other thresholds would keep: tables, and report/tune.png.

    Reads the scores of the run alone. Prints a table for each threshold.

    Example: pairforge tune out

    Raises PlanError for what is not the output of a run, ConfigError for one without a candidate.
    """
    mode = output_mode(quiet, json)
    store = Store(out)
    run = read_report_data(store)
    if not run.scores.num_rows:
        raise ConfigError(f"{store.url} has no candidates yet: let the run make some first")
    tuning = Tuning(run.scores, {name: instruction_kind(pair) for name, pair in run.pairs.items()})
    console = Console(highlight=False, quiet=mode is not OutputMode.text)
    counts = {name: _count(tuning, name, run.config.filter) for name in CLIP_SCORES}
    for name, lines in counts.items():
        console.print(f"filter.{name}: caption pairs kept", style="bold")
        console.print(_table(tuning, lines), "")
    store.write(PICTURE, draw(tuning, run.config.filter))
    console.print(
        f"* is what the run had; the other thresholds stay as they were. Drawn in {store.path(PICTURE)}",
        soft_wrap=True,
    )
    mode.answer(
        {"out": store.url, "pairs": tuning.pairs, "thresholds": counts, "picture": store.path(PICTURE)}
    )
    return 0


def _count(tuning: Tuning, name: str, thresholds: Filter) -> list[dict[str, Any]]:
    """Count what each threshold to try for a score would keep: samples, and caption pairs by kind."""
    present = getattr(thresholds, name)
    values = tuning.values(name, present)
    curves = tuning.curves(name, values, thresholds)
    return [
        {
            "threshold": value,
            "present": value == present,
            "samples": counts[0][1],
            "pairs": {kind: pairs for kind, (pairs, _) in zip(curves, counts, strict=True)},
        }
        for value, *counts in zip(values, *curves.values(), strict=True)
    ]


def _table(tuning: Tuning, lines: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None)
    for column in ("reach", "samples", *tuning.pairs):
        table.add_column(column, justify="right", no_wrap=True)
    for line in lines:
        mark = "*" if line["present"] else ""
        table.add_row(
            f"{mark}{line['threshold']:.2f}", str(line["samples"]), *map(str, line["pairs"].values())
        )
    return table


def draw(tuning: Tuning, thresholds: Filter) -> bytes:
    """Draw the curves as a PNG: a panel for each score, a line for each kind of edit, the present threshold upright."""
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, name in zip(figure.subplots(2, 2).flat, CLIP_SCORES, strict=True):
        present = getattr(thresholds, name)
        tried = tuning.values(name, present)
        values = sorted({*np.linspace(tried[0], tried[-1], 60).tolist(), present})
        for kind, curve in tuning.curves(name, values, thresholds).items():
            shares = [100 * pairs / tuning.pairs[kind] for pairs, _ in curve]
            axes.plot(values, shares, label=kind, linewidth=2.4 if kind == ALL else 1.2)
        axes.axvline(present, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel(f"filter.{name}")
        axes.set_ylabel("caption pairs kept, %")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    if len(tuning.pairs) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(tuning.pairs))
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
