"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from stages.captions.lines import ERRORS, MAX_LINE, open_lines
from stages.captions.regular import columns
from stages.captions.row import BLOCK_BYTES, BLOCK_ROWS, Block, Row, block_of, broken_off
from stages.captions.source import CaptionSource, one_line


def open_jsonl(source: CaptionSource) -> Iterator[Block]:
    """The file's lines as rows; empty ones are passed over.

    Raises:
        CaptionsError: as `open_lines` does, and on reading where the file breaks off before its first line.
    """
    return _blocks(source.path, open_lines(source.path))


def _blocks(file: str, lines: Iterator[bytes]) -> Iterator[Block]:
    numbered = enumerate(lines, 1)
    last, more = 0, True
    while more:
        numbers, raws, size, broken = list[int](), list[bytes](), 0, None
        more = False
        try:
            for number, raw in numbered:
                if raw.isspace():
                    continue
                numbers.append(number)
                raws.append(raw)
                size += len(raw)
                if size >= BLOCK_BYTES or len(raws) == BLOCK_ROWS:
                    more = True
                    break
        except ERRORS as error:
            broken = error
        if raws:
            last = numbers[-1]
            texts = columns(raws) if size < MAX_LINE else None
            yield Block(file, numbers, partial(_row_of, file, numbers, raws), texts)
        if broken is not None:
            yield block_of([broken_off(file, last, broken)])


def _row_of(file: str, numbers: list[int], raws: list[bytes], index: int) -> Row:
    return _row(file, numbers[index], raws[index])


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
