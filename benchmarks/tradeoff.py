"""The plot of what an edit leaves alone against whether it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

# Value (τ, or strength), share of edits that are made, dB of background.
Point = tuple[float, float, float]
COLOURS = ("#1f5fbf", "#d2691e", "#555555")


def plot(curves: Mapping[str, Sequence[Point]], path: Path) -> None:
    """One curve a method: on the left the trade-off, on the right both by τ, where SDEdit's τ is 1 − strength."""
    figure, (trade, by_tau) = plt.subplots(1, 2, figsize=(12.5, 5), layout="constrained")
    success = by_tau.twinx()
    for (method, points), colour in zip(curves.items(), COLOURS, strict=False):
        made, left = [100 * point[1] for point in points], [point[2] for point in points]
        trade.plot(made, left, "o-", color=colour, label=method)
        for value, x, y in zip([point[0] for point in points], made, left, strict=True):
            place = (
                {"xytext": (-7, 3), "ha": "right"} if method == "SDEdit" else {"xytext": (7, 3), "ha": "left"}
            )
            trade.annotate(f"{value:g}", (x, y), textcoords="offset points", color=colour, **place)
        taus = [1 - point[0] if method == "SDEdit" else point[0] for point in points]
        by_tau.plot(taus, left, "o-", color=colour, label=f"{method}: background")
        success.plot(taus, made, "s:", color=colour, label=f"{method}: edits made")
    trade.set(xlabel="edits made: CLIP reads the edited attribute (%)", ylabel="background PSNR (dB)")
    trade.set_title("Left alone against made (beside the points: τ, SDEdit's strength)", fontsize=11)
    by_tau.set(xlabel="τ (SDEdit: 1 − strength)", ylabel="background PSNR (dB), solid", xlim=(-0.03, 1.03))
    success.set(ylabel="edits made (%), dotted", ylim=(0, 102))
    by_tau.set_title("By the share of the steps that are the source's", fontsize=11)
    for axes in (trade, by_tau):
        axes.grid(alpha=0.25)
        axes.spines[["top"]].set_visible(False)
    trade.legend(frameon=False)
    handles, labels = by_tau.get_legend_handles_labels()
    more, others = success.get_legend_handles_labels()
    figure.legend(
        handles + more, labels + others, frameon=False, fontsize=9, loc="outside lower right", ncols=3
    )
    figure.savefig(path, dpi=110)
