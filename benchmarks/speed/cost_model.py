"""Wall-clock time of sweeps over the number of τ, caption pairs and steps, with a linear fit.

One of the three varies at a time, on the mini world. One linear model of two counts, denoiser rows and decoded images,
is fitted to all points together.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch

import miniworld
import p2p
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import FIGURES, publish
from benchmarks.speed.sweep_requests import requests

matplotlib.use("Agg")
from matplotlib import pyplot as plt

REPEATS = 3


@dataclass(frozen=True)
class Load:
    """The size of one call of ``sweep_many``."""

    edits: int = 5
    pairs: int = 2
    steps: int = 20


# Label of the axis: the loads along it. The other two sizes are the defaults of ``Load``.
AXES = {
    "values of τ": [Load(edits=count) for count in (1, 3, 5, 9, 17)],
    "caption pairs": [Load(pairs=count) for count in (1, 2, 4, 8)],
    "steps": [Load(steps=count) for count in (10, 20, 30, 50)],
}


@dataclass(frozen=True)
class Point:
    """The cost of a load: denoiser rows, decoded images, and the median of the wall-clock seconds."""

    load: Load
    rows: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Fit:
    """seconds = fixed + row · rows + image · images, by least squares.

    ``r2`` is the share of the variance that it explains, ``worst`` its largest relative error.
    """

    fixed: float
    row: float
    image: float
    r2: float
    worst: float

    def seconds(self, point: Point) -> float:
        return self.fixed + self.row * point.rows + self.image * point.images


def measure(editor: p2p.Editor, loads: Sequence[Load], repeats: int = REPEATS) -> list[Point]:
    """Time the loads in turn, in several rounds, so that a busy machine disturbs all of them alike."""
    editor.sweep_many(requests(1, 1, 2))
    seconds: dict[Load, list[float]] = {load: [] for load in loads}
    counts: dict[Load, tuple[int, int]] = {}
    for _ in range(repeats):
        for load in seconds:
            started = time.perf_counter()
            sweeps = editor.sweep_many(requests(load.pairs, load.edits, load.steps))
            seconds[load].append(time.perf_counter() - started)
            counts[load] = sum(sweep.rows for sweep in sweeps), sum(map(distinct_images, sweeps))
    return [Point(load, *counts[load], statistics.median(seconds[load])) for load in loads]


def distinct_images(sweep: p2p.Sweep) -> int:
    """Images that are decoded: values of τ with the same schedule share theirs."""
    return 1 + len(torch.unique(sweep.edit_latents, dim=0))


def fit(points: Sequence[Point]) -> Fit:
    """Fit all points together. Rows and images must vary independently."""
    counts = np.array([(1.0, point.rows, point.images) for point in points])
    seconds = np.array([point.seconds for point in points])
    (fixed, row, image), *_ = np.linalg.lstsq(counts, seconds, rcond=None)
    errors = seconds - counts @ (fixed, row, image)
    r2 = 1 - errors @ errors / np.sum((seconds - seconds.mean()) ** 2)
    return Fit(float(fixed), float(row), float(image), float(r2), float(np.max(np.abs(errors) / seconds)))


def plot(axes: dict[str, list[Point]], model: Fit, path: Path) -> None:
    """Draw a panel for each axis, and one of all points over their rows."""
    figure, panels = plt.subplots(1, len(axes) + 1, figsize=(14, 3.6), layout="constrained")
    every_point = sorted(
        {point for points in axes.values() for point in points}, key=lambda point: point.rows
    )
    base = Load()
    sizes = {"values of τ": "edits", "caption pairs": "pairs", "steps": "steps"}
    titles = (
        f"{base.pairs} pairs, {base.steps} steps",
        f"{base.edits} τ, {base.steps} steps",
        f"{base.edits} τ, {base.pairs} pairs",
        "all",
    )
    panelled = [*axes.items(), ("denoiser rows", every_point)]
    for panel, title, (name, points) in zip(panels, titles, panelled, strict=True):
        xs = [getattr(point.load, sizes[name]) if name in sizes else point.rows for point in points]
        panel.plot(xs, [point.seconds for point in points], "o", color="#1f5fbf", label="measured, median")
        # Points with equally many rows may differ in images, so the fit over rows is no line.
        style = "-" if name in axes else "x"
        panel.plot(xs, list(map(model.seconds, points)), style, color="#d2691e", label="fit, all points")
        panel.set(xlabel=name, ylim=(0, None), xlim=(0, None))
        panel.set_title(title, fontsize=10)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("seconds")
    panels[0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def section(points: Sequence[Point], model: Fit) -> str:
    """The text of the section in RESULTS.md."""
    records = [
        (p.load.edits, p.load.pairs, p.load.steps, p.rows, p.images, p.seconds, model.seconds(p))
        for p in points
    ]
    return (
        f"The mini world, fp32, {torch.get_num_threads()} thread(s), self gain 0.5, medians of {REPEATS}. Fit: "
        f"seconds = {model.fixed:.2f} + {1000 * model.row:.2f} ms · rows + {1000 * model.image:.1f} ms · images, "
        f"R² = {model.r2:.4f}, largest error {model.worst:.0%}. Plot: docs/figures/scaling.png.\n\n"
        + markdown_table(["τ", "pairs", "steps", "rows:,", "images", "seconds:.2f", "fit:.2f"], records)
    )


def main() -> None:
    """Measure, fit, plot, and write the section."""
    loads = list(dict.fromkeys(load for along_axis in AXES.values() for load in along_axis))
    points = measure(p2p.load(miniworld.MODEL, device="cpu"), loads)
    by_load = {point.load: point for point in points}
    axes = {name: [by_load[load] for load in along_axis] for name, along_axis in AXES.items()}
    plot(axes, fit(points), FIGURES / "scaling.png")
    publish("Scaling", "benchmarks.speed.cost_model", section(points, fit(points)))


if __name__ == "__main__":
    main()
