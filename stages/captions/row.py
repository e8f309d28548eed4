"""A row of a source as its format yields it: a record, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from stages.captions.meta import as_json
from stages.captions.source import CaptionsError, one_line
from stages.records import Quarantined

TEXT = 500


class Row(NamedTuple):
    """Where a row stands, and what it holds.

    Attributes:
        file: the source's name.
        line: counted from 1; of columnar sources the row's number.
        record: the fields, or None.
        flaw: why there is no record, otherwise "".
        raw: the bytes as they stand, or None where there are only the fields.
    """

    file: str
    line: int
    record: dict[str, Any] | None
    flaw: str = ""
    raw: bytes | None = None

    def quarantined(self, reason: str) -> Quarantined:
        """This row set aside, with its text cut to 500 characters."""
        if self.raw is not None:
            # No character has more than four bytes, and a line may have millions.
            text = self.raw[: 4 * TEXT].decode("utf-8", "replace").rstrip("\r\n")
        else:
            text = as_json(self.record or {})
        return Quarantined(self.file, self.line, reason, text[:TEXT])


def until_broken(rows: Iterator[Row], file: str, errors: tuple[type[Exception], ...]) -> Iterator[Row]:
    """`rows`, and after them, where reading breaks off with one of `errors`, a row that says so.

    Raises:
        CaptionsError: it breaks before the first row.
    """
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except errors as error:
        reason = f"cannot be read from here on: {one_line(error)}"
        if line == 0:
            raise CaptionsError(f"{file} cannot be read: {one_line(error)}; is it damaged?") from error
        yield Row(file, line + 1, None, reason, b"")
