"""The funnels of both kinds of run as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Column, Table

from pipeline.dataset.funnel import Funnel, list_reasons
from stages.writers.checks import REASONS


def image_table(funnel: Funnel) -> Table:
    """The funnel from the lines read to the samples kept. Without failed pairs, it has no line for them."""
    failed = "failed pairs" if funnel.failed else ""
    read, kept = "caption pairs read", "caption pairs with a sample kept"
    return _table(funnel, list_reasons(funnel), read, failed, "candidates", "samples kept", kept)


def pair_table(funnel: Funnel) -> Table:
    """The funnel from the captions read to the pairs kept, without reasons that never occurred."""
    reasons = {reason: text for reason, text in REASONS.items() if reason in funnel.rejected}
    read, kept = "captions read", "captions with a pair kept"
    return _table(funnel, reasons, read, "captions without an answer", "answers", "caption pairs kept", kept)


def _table(funnel: Funnel, reasons: Mapping[str, str], *names: str) -> Table:
    """A line is a count, its name, and its share of another count. Lines of what was kept are bold."""
    read, failed, candidates, samples, pairs_kept = names
    lines = [
        (funnel.read, read, None),
        (funnel.quarantined, "quarantined lines", funnel.read),
        (funnel.failed, failed, funnel.read),
        (funnel.candidates, candidates, None),
        *((funnel.rejected.get(key, 0), f"  {text}", funnel.candidates) for key, text in reasons.items()),
        (funnel.samples, samples, funnel.candidates),
        (funnel.pairs_kept, pairs_kept, funnel.pairs),
    ]
    columns = Column(justify="right"), Column(), Column(justify="right")
    table = Table(*columns, box=None, show_header=False, pad_edge=False)
    for count, name, of in lines:
        if name:
            style = "bold" if "kept" in name else ""
            table.add_row(f"{count:,}", name, f"{count / of:.0%}" if of else "", style=style)
    return table
