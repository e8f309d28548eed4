"""JSON Lines: one object a line, read in blocks that processes can share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from stages.captions.lines import ERRORS, MAX_LINE, open_lines
from stages.captions.row import Judge, Row, until_broken
from stages.captions.source import CaptionSource, one_line
from stages.records import CaptionPair
from stages.spread import in_order

_BLOCK = 2**20
_ALONE = 16


class _Block(NamedTuple):
    """Some lines as they stand, and the number of the first."""

    first: int
    lines: list[bytes]


def open_jsonl(source: CaptionSource) -> Iterator[Row]:
    """The file's lines as rows; empty ones are passed over.

    Raises:
        CaptionsError: as `open_lines` does, and on reading where the file breaks off before its first line.
    """
    rows = (row for block in _blocks(open_lines(source.path), _BLOCK) for row in _parsed(source.path, block))
    return until_broken(rows, source.path, ERRORS)


def open_judged(
    source: CaptionSource, judge: Judge, processes: int, block: int = _BLOCK, alone: int = _ALONE
) -> Iterator[Row]:
    """As `open_jsonl`, each row with its pair or its flaw as ``judge`` has them, parsed and judged by processes.

    ``processes`` share what comes after the first ``alone`` blocks of some ``block`` bytes.
    """
    blocks = _blocks(open_lines(source.path), block)
    judged = in_order(_Judging(source.path, judge), blocks, processes, alone)
    return until_broken(_rows(source.path, judged), source.path, ERRORS)


class _Judging:
    def __init__(self, file: str, judge: Judge) -> None:
        self._file, self._judge = file, judge

    def __call__(self, block: _Block) -> list[tuple[int, CaptionPair | str]]:
        judged: list[tuple[int, CaptionPair | str]] = []
        for row in _parsed(self._file, block):
            pair = row.flaw if row.record is None else self._judge(row.record, row.line)
            if not isinstance(pair, str):
                # What the plan writes of it is made here, beside the plan's own process.
                _ = pair.text
            judged.append((row.line, pair))
        return judged


def _rows(file: str, judged: Iterator[tuple[_Block, list[tuple[int, CaptionPair | str]]]]) -> Iterator[Row]:
    for (first, lines), verdicts in judged:
        for number, pair in verdicts:
            if isinstance(pair, str):
                yield Row(file, number, None, pair, lines[number - first])
            else:
                yield Row(file, number, None, "", lines[number - first], pair)


def _blocks(lines: Iterator[bytes], size: int) -> Iterator[_Block]:
    """Lines until they have ``size`` bytes; where reading breaks off, first those that were read."""
    first, held, length = 1, list[bytes](), 0
    try:
        for line in lines:
            held.append(line)
            length += len(line)
            if length >= size:
                yield _Block(first, held)
                first, held, length = first + len(held), [], 0
    except ERRORS:
        if held:
            yield _Block(first, held)
        raise
    if held:
        yield _Block(first, held)


def _parsed(file: str, block: _Block) -> Iterator[Row]:
    for number, raw in enumerate(block.lines, block.first):
        if raw.isspace():
            continue
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
        yield Row(file, number, None if flaw else record, flaw or "", raw)


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
