"""Reads JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from conf.messages import error_line
from stages.captions.source import (
    LINE_ERRORS,
    MAX_LINE,
    CaptionSource,
    SourceRecord,
    broken_record,
    open_lines,
    type_name,
    undecodable,
)

_JSON_ONLY = {float, list, dict}
"""Types of values that orjson and json may read differently."""


def open_jsonl(source: CaptionSource) -> Iterator[SourceRecord]:
    """Yields the file's lines as records; skips blank lines.

    Raises:
        CaptionsError: `open_lines` fails, or the file breaks off before its first line.
    """
    return _records(source.path, open_lines(source.path))


def _records(file: str, lines: Iterator[bytes]) -> Iterator[SourceRecord]:
    number = 0
    try:
        for number, raw in enumerate(lines, 1):
            if not raw.isspace():
                yield _record(file, number, raw)
    except LINE_ERRORS as error:
        yield broken_record(file, number, error)


def _record(file: str, number: int, raw: bytes) -> SourceRecord:
    record, flaw = None, ""
    try:
        record = _parse(raw)
    except UnicodeDecodeError as error:
        flaw = undecodable(raw, error)
    except RecursionError:
        flaw = "not JSON that can be read: it is nested too deeply"
    except json.JSONDecodeError as error:
        flaw = f"not JSON: {error.msg} at character {error.pos + 1}"
    except ValueError as error:
        flaw = f"not JSON that can be read: {error_line(error)}"
    if len(raw) >= MAX_LINE:
        flaw = f"the line is longer than {MAX_LINE} bytes"
    elif not flaw and not isinstance(record, dict):
        flaw = f"not an object with fields but {type_name(record)}"
    return SourceRecord(file, number, None if flaw else record, flaw, raw)


def _parse(raw: bytes) -> Any:
    """Parses a line as `json.loads` does, five times as fast if all values are texts, small integers or constants.

    orjson refuses NaN, halves of surrogate pairs and infinite numbers, makes integers of more than 64 bits floats, and
    has its own limit of nesting.
    """
    try:
        record = orjson.loads(raw)
        if isinstance(record, dict) and _JSON_ONLY.isdisjoint(map(type, record.values())):
            return record
    except orjson.JSONDecodeError:
        pass
    return json.loads(raw.rstrip().decode())
