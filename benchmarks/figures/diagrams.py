"""Draws the diagrams of docs/how.md: the tree of a sweep, a run's funnel, and the way from plan to pack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from p2p.sweep.tree import (
    Branch,
    Injection,
    InjectionTiming,
    count_evaluations,
    grow_branches,
    make_schedules,
)
from pipeline.dataset.funnel import Funnel

INK, PALE, BOTH, CROSS = "#22222a", "#6e707a", "#8b3a8b", "#1f5fbf"
FREE, KEPT, LOST = "#d2691e", "#2e8b57", "#b22234"

# Each reason to reject a candidate, and the property of those that remain.
REMAINING = {
    "clip_sim_0": "the source shows its caption",
    "clip_sim_1": "the edit shows its caption",
    "clip_sim_dir": "the images differ as the captions do",
    "clip_sim_image": "the edit is still like the source",
    "other_tau_of_seed": "the best τ of its seed",
    "max_per_pair": "the best seeds of its pair",
}


@dataclass(frozen=True)
class Stretch:
    """A branch in the drawing: its height, its parent's height, and the index of the τ that it ends in, or -1."""

    branch: Branch
    y: float
    parent: float | None
    ends: int


def stretches(branches: Sequence[Branch], parent: float | None = None) -> Iterator[Stretch]:
    """Every branch of the tree, at the mean height of its members, children after their parent."""
    for branch in branches:
        y = sum(branch.members) / len(branch.members)
        yield Stretch(branch, y, parent, -1 if branch.children else branch.members[-1])
        yield from stretches(branch.children, y)


def tree(taus: Sequence[float], steps: int, cross_gain: float, self_gain: float) -> Figure:
    """The source and the tree of its edits over the denoising steps, coloured by what is injected."""
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    axes.plot((0, steps), (-1, -1), color=INK, linewidth=4, solid_capstyle="butt")
    axes.annotate("source", (steps, -1), (6, 0), textcoords="offset points", va="center", color=INK)
    timing = InjectionTiming(cross_gain, self_gain, steps)
    for stretch in stretches(grow_branches(make_schedules(taus, (), timing))):
        start, y = stretch.branch.start, stretch.y
        if stretch.parent is not None:
            axes.plot((start, start), (stretch.parent, y), color=PALE, linewidth=1)
        for step in range(start, stretch.branch.stop):
            colour = _colour(stretch.branch.injection(step))
            axes.plot((step, step + 1), (y, y), color=colour, linewidth=4, solid_capstyle="butt")
        if stretch.ends >= 0:
            label = f"τ = {taus[stretch.ends]:g}"
            axes.annotate(label, (steps, y), (6, 0), textcoords="offset points", va="center")
    together, apart = count_evaluations(taus, timing), 2 * steps * len(taus)
    axes.set_title(
        f"{len(taus)} values of τ, {steps} steps: {together} evaluations as a tree, {apart} one by one",
        loc="left",
        fontsize=11,
    )
    axes.set_xlabel("denoising step")
    axes.set_xticks(range(0, steps + 1, 2))
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.spines[["left", "right", "top"]].set_visible(False)
    kinds = {
        "the source": INK,
        "cross- and self-attention injected": BOTH,
        "cross-attention alone": CROSS,
        "nothing: free": FREE,
    }
    handles = [Line2D([], [], color=colour, linewidth=4, label=text) for text, colour in kinds.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _colour(injection: Injection) -> str:
    if injection.self_attention:
        return BOTH
    return CROSS if injection else FREE


def funnel(counts: Funnel) -> Figure:
    """The candidates of a run that remain after each reason of CLIP's choice, and those rejected by it."""
    bars = [(f"candidates of {counts.pairs} caption pairs", counts.candidates, 0)]
    for reason, text in REMAINING.items():
        if rejected := counts.rejected.get(reason):
            bars.append((text, bars[-1][1] - rejected, rejected))
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(bars) + 0.8), layout="constrained")
    for y, (_, remaining, rejected) in enumerate(bars):
        last = y == len(bars) - 1
        axes.barh(y, remaining, color=KEPT if last else CROSS, height=0.7)
        axes.barh(y, rejected, left=remaining, color=LOST, alpha=0.25, height=0.7)
        label = f"{remaining:,}{' kept' * last}" + (f"   (−{rejected:,})" if rejected else "")
        end = (remaining + rejected, y)
        axes.annotate(label, end, (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(bars)), [text for text, _, _ in bars], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, counts.candidates * 1.16)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def commit() -> Figure:
    """The way from plan to pack, with a worker that was killed and a unit that two workers made."""
    figure, axes = plt.subplots(figsize=(10, 4.1), layout="constrained")
    axes.set_xlim(0, 10)
    axes.set_ylim(4.15, -0.75)
    axes.axis("off")
    for x, title, about in (
        (0.9, "plan", "units cut in input order,\nbefore anything runs"),
        (3.6, "part", "an attempt's own files:\nsamples, scores"),
        (6.3, "commit", "one record a unit,\ncreated exclusively"),
        (9.0, "pack", "shards of an exact size,\nin the plan's order"),
    ):
        axes.text(x, -0.55, title, ha="center", fontsize=13, weight="bold", color=INK)
        axes.text(x, -0.1, about, ha="center", va="center", fontsize=8.5, color=PALE)
    for unit in range(3):
        _box(axes, 0.9, 0.75 + 1.25 * unit, f"unit {unit}", INK)
    for y, text, colour in (
        (0.75, "unit 0, attempt a", INK),
        (1.6, "unit 1, attempt b: killed", LOST),
        (2.3, "unit 1, attempt c", INK),
        (3.0, "unit 2, attempt d", INK),
        (3.7, "unit 2, attempt e: too late", LOST),
    ):
        _box(axes, 3.6, y, text, colour)
    for unit, y in enumerate((0.75, 2.3, 3.0)):
        _box(axes, 6.3, y, f"unit {unit} → attempt {'acd'[unit]}", KEPT)
        _arrow(axes, (4.75, y), (5.15, y), INK)
        _arrow(axes, (7.45, y), (8.1, (0.75, 2.1, 2.3)[unit]), INK)
    for unit, ys in ((0, (0.75,)), (1, (1.6, 2.3)), (2, (3.0, 3.7))):
        for y in ys:
            _arrow(axes, (1.65, 0.75 + 1.25 * unit), (2.45, y), PALE)
    _box(axes, 9.0, 0.9, "train-000000.tar", KEPT, 1.8)
    _box(axes, 9.0, 2.2, "train-000001.tar", KEPT, 1.8)
    axes.text(
        9.0, 3.35, "what no commit names\nis swept away", ha="center", va="center", fontsize=8.5, color=LOST
    )
    return figure


def _box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 2.2) -> None:
    width = 1.4 if text.startswith("unit") and len(text) < 8 else width
    box = FancyBboxPatch(
        (x - width / 2, y - 0.22),
        width,
        0.44,
        boxstyle="round,pad=0.02,rounding_size=0.08",
        edgecolor=colour,
        facecolor="white",
        linewidth=1.4,
    )
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", fontsize=9, color=colour)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color=colour, linewidth=1)
    )
