"""The figures: matplotlib's SVG, with the page's own colours and type, so that they follow its light and dark."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.statistics import BINS, Rate, Spread

# Stand-ins that no other part of a figure uses: each becomes a variable of the page's style sheet.
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


def rates(rates: Sequence[Rate], label: str) -> str:
    """Bars of the keep rate in per cent."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(rates))
        axes.bar(places, [100 * rate.share for rate in rates], width=0.62, color=ACCENT)
        # Few bars stay as slim as many.
        middle = (len(rates) - 1) / 2
        half = max(len(rates), 5) / 2
        axes.set_xlim(middle - half, middle + half)
        long = sum(len(rate.label) + 2 for rate in rates) > 44
        axes.set_xticks(
            places,
            [rate.label for rate in rates],
            rotation=30 if long else 0,
            ha="right" if long else "center",
            parse_math=False,
        )
        axes.set_xlabel(label)
        axes.set_ylabel("kept, %")
        for place, rate in zip(places, rates, strict=True):
            axes.annotate(
                f"{rate.share:.0%}",
                (place, 100 * rate.share),
                (0, 3),
                textcoords="offset points",
                ha="center",
            )
        axes.margins(y=0.16)

    return _svg(draw, f"rates {label}")


def histogram(values: np.ndarray, threshold: float, label: str) -> str:
    """How often each value of a score came, those at or over the threshold in colour, the threshold as a line."""

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


def trade_off(image: Sequence[Spread], direction: Sequence[Spread]) -> str:
    """Both similarities over τ: medians, and the quartiles as bands."""

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


def path(image: Sequence[Spread], direction: Sequence[Spread]) -> str:
    """Directional against image similarity, a point a τ: the curve of InstructPix2Pix's figure 8."""

    def draw(axes: Axes) -> None:
        x, y = [p.median for p in image], [p.median for p in direction]
        axes.plot(x, y, color=ACCENT, marker="o", markersize=5)
        for point, across, up in zip(image, x, y, strict=True):
            axes.annotate(f"{point.tau:.2g}", (across, up), (6, 4), textcoords="offset points")
        axes.set_xlabel("image similarity")
        axes.set_ylabel("directional similarity")
        axes.margins(0.12)

    return _svg(draw, "path", width=5.4)


def throughput(minutes: np.ndarray, rate: np.ndarray) -> str:
    """Caption pairs a minute over the run's time."""

    def draw(axes: Axes) -> None:
        axes.fill_between(minutes, rate, step="mid", color=ACCENT, alpha=0.18, linewidth=0)
        axes.step(minutes, rate, where="mid", color=ACCENT)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes since the first commit")
        axes.set_ylabel("pairs a minute")

    return _svg(draw, "throughput", width=7.2)


def _svg(draw: Callable[[Axes], None], name: str, width: float = 4.2, height: float = 2.6) -> str:
    """An SVG element to stand in a page. ``name`` keeps its ids apart from other figures'."""
    style: Any = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        # The reader's browser has the glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for stand_in, variable in COLOURS.items():
        text = text.replace(stand_in, variable)
    slug = "".join(c if c.isalnum() else "-" for c in name)
    # matplotlib names its groups alike in every figure; an id may stand but once in a page.
    text = text.replace(' id="', f' id="{slug}-').replace('href="#', f'href="#{slug}-')
    text = text.replace("url(#", f"url(#{slug}-")
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
