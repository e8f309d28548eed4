"""JSON Lines: one object a line."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from stages.captions.lines import ERRORS, MAX_LINE, open_pieces
from stages.captions.regular import columns
from stages.captions.row import Block, Row, block_of, broken_off
from stages.captions.source import CaptionSource, one_line

_PIECE = 2**18
"""Bytes of the lines that are judged at once."""


def open_jsonl(source: CaptionSource) -> Iterator[Block]:
    """The file's lines as rows; empty ones are passed over.

    Raises:
        CaptionsError: as `open_lines` does, and on reading where the file breaks off before its first line.
    """
    return _blocks(source.path, open_pieces(source.path, _PIECE))


def _blocks(file: str, pieces: Iterator[bytes]) -> Iterator[Block]:
    first, last = 1, 0
    try:
        for data in pieces:
            lines = _Lines(file, first, data)
            numbers: Sequence[int] = range(first, first + data.count(b"\n") + (not data.endswith(b"\n")))
            first += len(numbers)
            texts = columns(data, len(numbers)) if len(data) < MAX_LINE else None
            if texts is None:
                numbers = [number for number in numbers if not lines.raw(number).isspace()]
            if numbers:
                last = numbers[-1]
                yield Block(file, numbers, partial(_row_of, lines, numbers), texts)
    except ERRORS as error:
        yield block_of([broken_off(file, last, error)])


def _row_of(lines: _Lines, numbers: Sequence[int], index: int) -> Row:
    return _row(lines.file, numbers[index], lines.raw(numbers[index]))


class _Lines:
    """The lines of a piece by their numbers: cut apart only if one is asked for."""

    def __init__(self, file: str, first: int, data: bytes) -> None:
        self.file = file
        self._first, self._data = first, data

    def raw(self, number: int) -> bytes:
        return self._cut[number - self._first]

    @functools.cached_property
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
        flaw = f"not JSON that can be read: {one_line(error)}"
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
