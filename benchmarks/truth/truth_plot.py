"""Plots the filter's precision and recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from benchmarks.truth.precision_recall import Curve, passing, point

COLOURS = ("#1f5fbf", "#d2691e", "#2e8b57", "#8b3a8b", "#b8860b", "#555555", "#c03050")
MIN_RECALL = 0.02  # below, a handful of candidates tells nothing of precision


@dataclass(frozen=True)
class ThresholdSweep:
    """Precision and recall (T,) over T thresholds of one score, the others at their defaults."""

    name: str
    default: float
    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def sweep_threshold(
    name: str, which: int, scores: np.ndarray, right: np.ndarray, thresholds: tuple[float, ...]
) -> ThresholdSweep:
    """Vary the threshold ``which`` of the scores (S, N); ``thresholds`` are the defaults."""
    values = np.round(np.linspace(0.0, 0.98, 50), 2)
    tried = [[*thresholds[:which], value, *thresholds[which + 1 :]] for value in values]
    precision, recall = np.array([point(passing(scores, limits), right) for limits in tried]).T
    shown = recall >= MIN_RECALL
    return ThresholdSweep(name, thresholds[which], values[shown], precision[shown], recall[shown])


def plot(
    curves: Mapping[str, Curve],
    points: Mapping[str, tuple[float, float]],
    sweeps: Sequence[ThresholdSweep],
    base: float,
    path: Path,
) -> None:
    """Draw curves of scores with points (precision, recall) of choices on the left, threshold sweeps on the right.

    ``base`` is the share of right candidates.
    """
    figure = plt.figure(figsize=(13, 6), layout="constrained")
    halves: Any = figure.subfigures(1, 2, width_ratios=(1.05, 1))
    axes, panels = halves[0].subplots(), halves[1].subplots(2, 2, sharey=True).flat
    for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
        shown = curve.recall >= 0.03
        label = f"{name} ({curve.area:.2f})"
        axes.plot(100 * curve.recall[shown], 100 * curve.precision[shown], color=colour, lw=1.6, label=label)
    for (name, (precision, recall)), marker in zip(points.items(), "oD*s^", strict=False):
        size = 13 if marker == "*" else 8
        axes.plot(100 * recall, 100 * precision, marker, color="black", ms=size, mfc="white", label=name)
    axes.axhline(100 * base, color="#999999", lw=1, ls=":", label="all candidates")
    axes.set(
        xlabel="recall: right candidates that pass (%)",
        ylabel="precision: passing candidates that are right (%)",
    )
    axes.set_title("Precision and recall of scores (area under the curve)", fontsize=11)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    for panel, sweep in zip(panels, sweeps, strict=True):
        panel.plot(sweep.thresholds, 100 * sweep.precision, color=COLOURS[0], label="precision")
        panel.plot(sweep.thresholds, 100 * sweep.recall, color=COLOURS[1], label="recall")
        panel.axvline(sweep.default, color="#555555", lw=1, ls="--", label="default")
        panel.set(xlabel=f"threshold of {sweep.name}", ylim=(0, 102))
    halves[1].suptitle("Each threshold, the other three at their defaults (%)", fontsize=11)
    halves[1].axes[0].legend(frameon=False, fontsize=8.5, loc="lower left")
    for panel in (axes, *halves[1].axes):
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)
    plt.close(figure)
