"""JSON Lines: one object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from conf.messages import error_line
from stages.captions.lines import ERRORS, MAX_LINE, open_pieces
from stages.captions.regular import columns
from stages.captions.source import CaptionSource
from stages.captions.source_record import Block, Row, Rows, broken_off

_PIECE = 2**18
"""Bytes of the lines that are judged at once."""


def open_jsonl(source: CaptionSource) -> Iterator[Block]:
    """The file's lines as rows; empty ones are passed over.

    Raises:
        CaptionsError: as `open_lines` does, and on reading where the file breaks off before its first line.
    """
    return _blocks(source.path, open_pieces(source.path, _PIECE))


def _blocks(file: str, pieces: Iterator[bytes]) -> Iterator[Block]:
    first = 1
    try:
        for data in pieces:
            lines = _Lines(file, first, data)
            first += lines.count
            yield lines
    except ERRORS as error:
        yield Rows([broken_off(file, first - 1, error)])


class _Lines:
    """The lines of a piece of the file: cut apart only if one is asked for."""

    def __init__(self, file: str, first: int, data: bytes) -> None:
        self.file, self.count = file, data.count(b"\n") + (not data.endswith(b"\n"))
        self._first, self._data = first, data

    @cached_property
    def columns(self) -> dict[str, list[str]] | None:
        return columns(self._data, self.count) if len(self._data) < MAX_LINE else None

    @cached_property
    def lines(self) -> Sequence[int]:
        every = range(self._first, self._first + self.count)
        return every if self.columns else [line for line in every if not self._raw(line).isspace()]

    def row(self, line: int) -> Row:
        return _row(self.file, line, self._raw(line))

    def _raw(self, line: int) -> bytes:
        return self._cut[line - self._first]

    @cached_property
    def _cut(self) -> list[bytes]:
        # A line feed alone ends a line.
        return io.BytesIO(self._data).readlines()


def _row(file: str, number: int, raw: bytes) -> Row:
    record = flaw = None
    try:
        text = raw.rstrip().decode()
        record = _parse(text)
    except UnicodeDecodeError as error:
        flaw = f"not UTF-8: byte {error.start + 1} of the line is 0x{raw[error.start]:02X}"
    except RecursionError:
        flaw = "not JSON that can be read: it is nested too deeply"
    except json.JSONDecodeError as error:
        flaw = f"not JSON: {error.msg} at character {error.pos + 1}"
    except ValueError as error:
        flaw = f"not JSON that can be read: {error_line(error)}"
    if len(raw) >= MAX_LINE:
        flaw = f"the line is longer than {MAX_LINE} bytes"
    if flaw is None and not isinstance(record, dict):
        flaw = f"not an object with fields but {_KINDS[type(record)]}"
    return Row(file, number, None if flaw else record, flaw or "", raw)


def _parse(text: str) -> Any:
    # The same parser without its wrapping, which takes as long as the parsing; what is irregular gets the wrapping.
    try:
        record, end = _DECODER.raw_decode(text)
    except ValueError:
        return json.loads(text)
    return record if end == len(text) else json.loads(text)


_DECODER = json.JSONDecoder()
_KINDS = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
