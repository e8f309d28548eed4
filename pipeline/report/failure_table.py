"""The failures and the lines that could not be used, as the page's script turns their pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 5000


@dataclass(frozen=True)
class Lines:
    """``rows`` are those shown of ``total``: all up to `SHOWN`, of more so many, evenly spread in their order."""

    heading: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    total: int


def lines(heading: str, columns: tuple[str, ...], found: Sequence[dict[str, Any]], total: int) -> Lines:
    """The ``columns`` of each; ``total`` is how many there are by the plan and the commits."""
    count = min(len(found), SHOWN)
    chosen = [found[place * len(found) // count] for place in range(count)]
    return Lines(heading, columns, [[str(one[name]) for name in columns] for one in chosen], total)
