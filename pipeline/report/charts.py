"""Charts of the page: SVG by matplotlib, in the colours of the style sheet, so that they follow light and dark mode."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.statistics import BINS, Quartiles, Rate

# Placeholders that nothing else in a chart uses; each is replaced by a variable of the style sheet.
INK, GRID, ACCENT, SECOND = "#010203", "#040506", "#070809", "#0a0b0c"
COLOURS = {INK: "var(--muted)", GRID: "var(--line)", ACCENT: "var(--accent)", SECOND: "var(--second)"}
STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "legend.frameon": False,
}


def plot_rates(rates: Sequence[Rate], label: str) -> Markup:
    """Bars of the keep rate in per cent."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(rates))
        axes.bar(places, [100 * rate.share for rate in rates], width=0.62, color=ACCENT)
        # Fixed limits keep a few bars as slim as five.
        middle, half = (len(rates) - 1) / 2, max(len(rates), 5) / 2
        axes.set_xlim(middle - half, middle + half)
        turned = sum(len(rate.label) + 2 for rate in rates) > 44
        rotation, alignment = (30, "right") if turned else (0, "center")
        labels = [rate.label for rate in rates]
        axes.set_xticks(places, labels, rotation=rotation, ha=alignment, parse_math=False)
        axes.set_xlabel(label)
        axes.set_ylabel("kept, %")
        for place, rate in zip(places, rates, strict=True):
            at = (place, 100 * rate.share)
            axes.annotate(f"{rate.share:.0%}", at, (0, 3), textcoords="offset points", ha="center")
        axes.margins(y=0.16)

    return _svg(draw, f"rates {label}")


def plot_histogram(values: np.ndarray, threshold: float, label: str) -> Markup:
    """The histogram of a score: values that reach the threshold are coloured, the threshold is a line."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(min(values.min(), threshold), max(values.max(), threshold) + 1e-6, BINS + 1)
        counts, _ = np.histogram(values, edges)
        middles = (edges[:-1] + edges[1:]) / 2
        colours = [ACCENT if middle >= threshold else GRID for middle in middles]
        axes.bar(middles, counts, width=np.diff(edges) * 0.88, color=colours)
        axes.axvline(threshold, color=SECOND, linewidth=1.4, linestyle=(0, (4, 2)))
        axes.set_xlabel(label)
        axes.set_ylabel("candidates")

    return _svg(draw, f"histogram {label}")


def plot_trade_off(image: Sequence[Quartiles], direction: Sequence[Quartiles]) -> Markup:
    """Both similarities over τ: lines of medians, bands between the quartiles."""

    def draw(axes: Axes) -> None:
        for points, colour, name in ((image, ACCENT, "image"), (direction, SECOND, "direction")):
            taus = [point.tau for point in points]
            axes.fill_between(
                taus, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.16, linewidth=0
            )
            axes.plot(taus, [p.median for p in points], color=colour, marker="o", markersize=4, label=name)
        axes.set_xlabel("τ")
        axes.set_ylabel("CLIP similarity")
        axes.legend(loc="best")

    return _svg(draw, "trade-off", width=5.4)


def plot_path(image: Sequence[Quartiles], direction: Sequence[Quartiles]) -> Markup:
    """Directional over image similarity, one point for each τ (the curve of InstructPix2Pix, figure 8)."""

    def draw(axes: Axes) -> None:
        x, y = [p.median for p in image], [p.median for p in direction]
        axes.plot(x, y, color=ACCENT, marker="o", markersize=5)
        for point, across, up in zip(image, x, y, strict=True):
            axes.annotate(f"{point.tau:.2g}", (across, up), (6, 4), textcoords="offset points")
        axes.set_xlabel("image similarity")
        axes.set_ylabel("directional similarity")
        axes.margins(0.12)

    return _svg(draw, "path", width=5.4)


def plot_throughput(minutes: np.ndarray, rate: np.ndarray) -> Markup:
    """Caption pairs per minute over the time of the run."""

    def draw(axes: Axes) -> None:
        axes.fill_between(minutes, rate, step="mid", color=ACCENT, alpha=0.18, linewidth=0)
        axes.step(minutes, rate, where="mid", color=ACCENT)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes since the first commit")
        axes.set_ylabel("pairs a minute")

    return _svg(draw, "throughput", width=7.2)


def _svg(draw: Callable[[Axes], None], name: str, width: float = 4.2, height: float = 2.6) -> Markup:
    """An SVG element. ``name`` makes its ids differ from those of other charts."""
    style: Any = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        # The browser has glyphs that the font of matplotlib lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for placeholder, variable in COLOURS.items():
        text = text.replace(placeholder, variable)
    # matplotlib uses the same ids in every chart; in one page each id must be unique.
    slug = "".join(character if character.isalnum() else "-" for character in name)
    for start in (' id="', 'href="#', "url(#"):
        text = text.replace(start, f"{start}{slug}-")
    return Markup(text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))
