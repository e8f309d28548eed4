"""The funnels of both kinds of run as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Column, Table

from pipeline.dataset.funnel import Funnel, list_reasons
from stages.writers.checks import REASONS

Line = tuple[int, str, int | None]
"""A count, what it counts, and the total of which a share is shown, if any."""


def image_table(funnel: Funnel) -> Table:
    """The funnel from the lines read to the samples kept."""
    lines: list[Line] = [
        (funnel.read, "caption pairs read", None),
        (funnel.quarantined, "quarantined lines", funnel.read),
    ]
    if funnel.failed:
        lines.append((funnel.failed, "failed pairs", funnel.read))
    lines.append((funnel.candidates, "candidates", None))
    for reason, text in list_reasons(funnel).items():
        lines.append((funnel.rejected.get(reason, 0), f"  {text}", funnel.candidates))
    lines.append((funnel.samples, "samples kept", funnel.candidates))
    lines.append((funnel.pairs_kept, "caption pairs with a sample kept", funnel.pairs))
    return _table(lines)


def pair_table(funnel: Funnel) -> Table:
    """The funnel from the captions read to the pairs kept, without reasons that never occurred."""
    lines: list[Line] = [
        (funnel.read, "captions read", None),
        (funnel.quarantined, "quarantined lines", funnel.read),
        (funnel.failed, "captions without an answer", funnel.read),
        (funnel.candidates, "answers", None),
    ]
    for reason, text in REASONS.items():
        if reason in funnel.rejected:
            lines.append((funnel.rejected[reason], f"  {text}", funnel.candidates))
    lines.append((funnel.samples, "caption pairs kept", funnel.candidates))
    lines.append((funnel.pairs_kept, "captions with a pair kept", funnel.pairs))
    return _table(lines)


def _table(lines: Iterable[Line]) -> Table:
    """The lines of a funnel; lines of what was kept are bold."""
    grid = Table(
        Column(justify="right"),
        Column(),
        Column(justify="right"),
        box=None,
        show_header=False,
        pad_edge=False,
    )
    for count, text, of in lines:
        style = "bold" if "kept" in text else ""
        grid.add_row(f"{count:,}", text, f"{count / of:.0%}" if of else "", style=style)
    return grid
