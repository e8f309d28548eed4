"""Formats Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(columns: Sequence[str], records: Iterable[Sequence[object]]) -> str:
    """A table with one line a record.

    A column is ``name`` or ``name:format``, as in ``seconds:.1f``. The format applies to numbers alone: text is
    written as it is, and None as a dash.
    """
    names, formats = zip(*(column.partition(":")[::2] for column in columns), strict=True)
    cells = [[_cell(*pair) for pair in zip(record, formats, strict=True)] for record in records]
    return "\n".join(f"| {' | '.join(line)} |" for line in [names, ["---"] * len(names), *cells])


def _cell(value: object, number_format: str) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else format(value, number_format)
