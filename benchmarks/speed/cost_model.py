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
from benchmarks.common.results_file import write_section

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SOURCE, TARGET = "a photo of a red ball on grass by day", "a photo of a blue ball on grass by day"
FIGURE = Path(__file__).parents[2] / "docs/figures/scaling.png"
REPEATS = 3
COLOUR = "#1f5fbf"


@dataclass(frozen=True)
class Load:
    """So many caption pairs in one call, each with so many values of τ, over so many steps."""

    edits: int = 5
    pairs: int = 2
    steps: int = 20


# What the axis says, and the loads along it; the others are as in ``Load``.
AXES = {
    "values of τ": [Load(edits=count) for count in (1, 3, 5, 9, 17)],
    "caption pairs": [Load(pairs=count) for count in (1, 2, 4, 8)],
    "steps": [Load(steps=count) for count in (10, 20, 30, 50)],
}


@dataclass(frozen=True)
class Point:
    """What a load came to: denoiser rows, images decoded, and the median of the wall clock in seconds."""

    load: Load
    rows: int
    images: int
    seconds: float


@dataclass(frozen=True)
class Fit:
    """seconds = fixed + row · rows + image · images, by least squares; ``r2`` is the share of the variance it tells,
    ``worst`` its largest error as a share of what was measured."""

    fixed: float
    row: float
    image: float
    r2: float
    worst: float

    def seconds(self, point: Point) -> float:
        return self.fixed + self.row * point.rows + self.image * point.images


def measure(editor: p2p.Editor, loads: Sequence[Load], repeats: int = REPEATS) -> list[Point]:
    """Every load, once, in so many rounds, so that a busy machine disturbs all of them alike."""
    editor.sweep_many(requests(Load(1, 1, 2)))
    seconds: dict[Load, list[float]] = {load: [] for load in loads}
    counted: dict[Load, tuple[int, int]] = {}
    for _ in range(repeats):
        for load in seconds:
            started = time.perf_counter()
            sweeps = editor.sweep_many(requests(load))
            seconds[load].append(time.perf_counter() - started)
            counted[load] = sum(sweep.rows for sweep in sweeps), sum(map(images, sweeps))
    return [Point(load, *counted[load], statistics.median(seconds[load])) for load in loads]


def requests(load: Load) -> list[p2p.SweepRequest]:
    """Pairs differ by their seed; τ are spread evenly over the inside of [0, 1]."""
    taus = tuple((k + 1) / (load.edits + 1) for k in range(load.edits))
    return [
        p2p.SweepRequest(SOURCE, TARGET, taus=taus, seed=seed, steps=load.steps, self_gain=0.5)
        for seed in range(load.pairs)
    ]


def images(sweep: p2p.Sweep) -> int:
    """Distinct ones: values of τ that come to the same schedule share their image."""
    return 1 + len(torch.unique(sweep.edit_latents, dim=0))


def fit(points: Sequence[Point]) -> Fit:
    """All points together. Rows and images have to vary on their own."""
    counts = np.array([(1.0, point.rows, point.images) for point in points])
    seconds = np.array([point.seconds for point in points])
    (fixed, row, image), *_ = np.linalg.lstsq(counts, seconds, rcond=None)
    errors = seconds - counts @ (fixed, row, image)
    r2 = 1 - errors @ errors / np.sum((seconds - seconds.mean()) ** 2)
    return Fit(float(fixed), float(row), float(image), float(r2), float(np.max(np.abs(errors) / seconds)))


def plot(axes: dict[str, list[Point]], line: Fit, path: Path = FIGURE) -> None:
    """A panel for each of the three, and one of all points against their rows."""
    figure, panels = plt.subplots(1, len(axes) + 1, figsize=(14, 3.6), layout="constrained")
    whole = sorted({point for points in axes.values() for point in points}, key=lambda point: point.rows)
    base = Load()
    for panel, (name, points) in zip(panels, [*axes.items(), ("denoiser rows", whole)], strict=True):
        xs = [along(name, point) for point in points]
        panel.plot(xs, [point.seconds for point in points], "o", color=COLOUR, label="measured, median")
        # Points of equally many rows may differ in images: there the fit is no line.
        style = "x" if name not in axes else "-"
        fitted = [line.seconds(point) for point in points]
        panel.plot(xs, fitted, style, color="#d2691e", label="fit, all points")
        panel.set(xlabel=name, ylim=(0, None), xlim=(0, None))
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("seconds")
    panels[0].set_title(f"{base.pairs} pairs, {base.steps} steps", fontsize=10)
    panels[1].set_title(f"{base.edits} τ, {base.steps} steps", fontsize=10)
    panels[2].set_title(f"{base.edits} τ, {base.pairs} pairs", fontsize=10)
    panels[-1].set_title("all", fontsize=10)
    panels[0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def along(axis: str, point: Point) -> int:
    load = point.load
    return {"values of τ": load.edits, "caption pairs": load.pairs, "steps": load.steps}.get(axis, point.rows)


def section(points: Sequence[Point], line: Fit) -> str:
    """The text of RESULTS.md's section."""
    rows = [
        [
            str(point.load.edits),
            str(point.load.pairs),
            str(point.load.steps),
            f"{point.rows:,}",
            str(point.images),
            f"{point.seconds:.2f}",
            f"{line.seconds(point):.2f}",
        ]
        for point in points
    ]
    return (
        f"The mini world, fp32, {torch.get_num_threads()} thread(s) on one core, self gain 0.5; medians of {REPEATS}. "
        "One linear model of all points: "
        f"seconds = {line.fixed:.2f} + {1000 * line.row:.2f} ms · rows + {1000 * line.image:.1f} ms · images, "
        f"R² = {line.r2:.4f}, at most {line.worst:.0%} beside what was measured. Costs that were not "
        "counted fall to either of the two. Plot: docs/figures/scaling.png.\n\n"
        + markdown_table(["τ", "pairs", "steps", "rows", "images", "seconds", "fit"], rows)
    )


def main() -> None:
    """Measures, fits, plots, and writes the section."""
    loads = list(dict.fromkeys(load for along_axis in AXES.values() for load in along_axis))
    points = measure(p2p.load(miniworld.MODEL, device="cpu"), loads)
    line, found = fit(points), {point.load: point for point in points}
    plot({name: [found[load] for load in along_axis] for name, along_axis in AXES.items()}, line)
    write_section("Scaling (`python -m benchmarks.speed.cost_model`)", section(points, line))
    print(section(points, line))


if __name__ == "__main__":
    main()
