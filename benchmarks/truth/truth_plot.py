"""The plot of the filter's precision and recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from benchmarks.truth.precision_recall import Curve

COLOURS = ("#1f5fbf", "#d2691e", "#2e8b57", "#8b3a8b", "#b8860b", "#555555", "#c03050")


@dataclass(frozen=True)
class Sweep:
    """Precision and recall over the thresholds of one score, the others at their defaults; its own is ``default``."""

    name: str
    default: float
    thresholds: Sequence[float]
    precision: Sequence[float]
    recall: Sequence[float]


def plot(
    curves: Mapping[str, Curve],
    points: Mapping[str, tuple[float, float]],
    sweeps: Sequence[Sweep],
    base: float,
    path: Path,
) -> None:
    """On the left the rules' curves and some choices as points (precision, recall); on the right the four thresholds.

    ``base`` is the share of candidates that is right.
    """
    figure = plt.figure(figsize=(13, 6), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.05, 1))
    left, right = halves
    axes = left.subplots()
    for (name, one), colour in zip(curves.items(), COLOURS, strict=False):
        # The first few candidates say little, and jump.
        shown = one.recall >= 0.03
        axes.plot(
            100 * one.recall[shown],
            100 * one.precision[shown],
            color=colour,
            lw=1.6,
            label=f"{name} ({one.area:.2f})",
        )
    for (name, (precision, recall)), marker in zip(points.items(), "oD*s^", strict=False):
        size = 13 if marker == "*" else 8
        axes.plot(100 * recall, 100 * precision, marker, color="black", ms=size, mfc="white", label=name)
    axes.axhline(100 * base, color="#999999", lw=1, ls=":", label="all candidates")
    axes.set(
        xlabel="recall: right candidates that pass (%)",
        ylabel="precision: candidates that pass and are right (%)",
    )
    axes.set_title("What a score knows of the truth (area under the curve)", fontsize=11)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    for place, sweep in zip(right.subplots(2, 2, sharey=True).flat, sweeps, strict=True):
        place.plot(sweep.thresholds, 100 * np.array(sweep.precision), color=COLOURS[0], label="precision")
        place.plot(sweep.thresholds, 100 * np.array(sweep.recall), color=COLOURS[1], label="recall")
        place.axvline(sweep.default, color="#555555", lw=1, ls="--", label="default")
        place.set(xlabel=f"threshold of {sweep.name}", ylim=(0, 102))
    right.suptitle("Each threshold, the other three at their defaults (%)", fontsize=11)
    right.axes[0].legend(frameon=False, fontsize=8.5, loc="lower left")
    for place in (axes, *right.axes):
        place.grid(alpha=0.25)
        place.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)
    plt.close(figure)
