"""Tables of failed pairs and of quarantined lines; the script of the page shows them page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 5000


@dataclass(frozen=True)
class FailureTable:
    """``records`` are the ones shown, of ``total``: all if there are at most `SHOWN`, else a sample evenly spread."""

    heading: str
    columns: tuple[str, ...]
    records: list[list[str]]
    total: int


def build_table(
    heading: str, columns: tuple[str, ...], failures: Sequence[dict[str, Any]], total: int
) -> FailureTable:
    """``total`` is their number by the plan and the commits."""
    count = min(len(failures), SHOWN)
    shown = [failures[index * len(failures) // count] for index in range(count)]
    return FailureTable(
        heading, columns, [[str(record[name]) for name in columns] for record in shown], total
    )
