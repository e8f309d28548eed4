"""A row of a source as its format yields it: a record, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from conf.messages import error_line
from stages.captions.meta import as_json
from stages.captions.source import CaptionsError
from stages.records import Quarantined

TEXT = 500
BLOCK_ROWS, BLOCK_BYTES = 1024, 2**20


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


class Block(Protocol):
    """Rows of one file that follow one another, and are judged at once; another process may do that."""

    @property
    def file(self) -> str:
        """The source's name."""

    @property
    def lines(self) -> Sequence[int]:
        """Where each row stands."""

    @property
    def columns(self) -> Mapping[str, Sequence[str]] | None:
        """The texts by their fields' names, if the rows all have the same fields and these, like their names, are texts
        of printable characters, none a quotation mark or backslash; otherwise None, and the rows must be looked at."""

    def row(self, line: int) -> Row:
        """The row that stands there."""


@dataclass(frozen=True)
class Rows:
    """A block of rows, one at least, that were taken apart on reading."""

    rows: Sequence[Row]
    columns: None = None

    @property
    def file(self) -> str:
        return self.rows[0].file

    @property
    def lines(self) -> Sequence[int]:
        return [row.line for row in self.rows]

    def row(self, line: int) -> Row:
        return self._by_line[line]

    @cached_property
    def _by_line(self) -> dict[int, Row]:
        return {row.line: row for row in self.rows}


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
        yield broken_off(file, line, error)


def broken_off(file: str, line: int, error: Exception) -> Row:
    """The row that says that reading broke off after `line`.

    Raises:
        CaptionsError: there was none before, so `line` is 0.
    """
    if line == 0:
        raise CaptionsError(f"{file} cannot be read: {error_line(error)}; is it damaged?") from error
    return Row(file, line + 1, None, f"cannot be read from here on: {error_line(error)}", b"")


def blocks(rows: Iterable[Row]) -> Iterator[Block]:
    """`rows` in blocks, each of one file and no more than the memory may hold."""
    held, size = list[Row](), 0
    for row in rows:
        if held and (len(held) == BLOCK_ROWS or size >= BLOCK_BYTES or row.file != held[0].file):
            yield Rows(held)
            held, size = [], 0
        held.append(row)
        size += len(row.raw or b"")
    if held:
        yield Rows(held)
