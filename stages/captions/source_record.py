"""Defines the record that every format yields, and its JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from conf.messages import error_line
from stages.captions.source import CaptionsError
from stages.records import Quarantined

TEXT = 500
"""Characters of a quarantined record that are kept."""


class SourceRecord(NamedTuple):
    """One record of a source, good or bad.

    Attributes:
        file: the source's name.
        line: the first line, counted from 1; for columnar sources the number of the record.
        fields: the values by field name, or None for a bad record.
        flaw: the reason why there are no fields, otherwise "".
        raw: the bytes in the file, or None for formats without text.
    """

    file: str
    line: int
    fields: dict[str, Any] | None
    flaw: str = ""
    raw: bytes | None = None

    def quarantine(self, reason: str) -> Quarantined:
        """Returns the record as a quarantined line, its text cut to 500 characters."""
        if self.raw is None:
            text = to_json(self.fields or {})
        else:
            # A character has at most four bytes; a line may have millions.
            text = self.raw[: 4 * TEXT].decode("utf-8", "replace").rstrip("\r\n")
        return Quarantined(self.file, self.line, reason, text[:TEXT])


def until_broken(
    records: Iterator[SourceRecord], file: str, errors: tuple[type[Exception], ...]
) -> Iterator[SourceRecord]:
    """Yields the records and, if reading fails with one of ``errors``, a bad record that says so.

    Raises:
        CaptionsError: reading fails before the first record.
    """
    line = 0
    try:
        for record in records:
            line = record.line
            yield record
    except errors as error:
        yield broken_record(file, line, error)


def broken_record(file: str, line: int, error: Exception) -> SourceRecord:
    """Returns the bad record for a file that cannot be read after ``line``.

    Raises:
        CaptionsError: ``line`` is 0, so nothing was read before.
    """
    if line == 0:
        raise CaptionsError(f"{file} cannot be read: {error_line(error)}; is it damaged?") from error
    return SourceRecord(file, line + 1, None, f"cannot be read from here on: {error_line(error)}", b"")


def to_json(fields: dict[str, Any]) -> str:
    """Encodes fields as valid JSON with sorted keys. Values without a JSON form (dates, decimals, NaN) become text."""
    try:
        text = _ENCODER.encode(fields)
    except ValueError:
        text = _ENCODER.encode(_finite(fields))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half of a surrogate pair has no UTF-8 form; it has an escape.
            text = json.dumps(json.loads(text), sort_keys=True)
    return text


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _finite(value: Any) -> Any:
    """Replaces NaN and infinities by their names."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False, default=_as_text)
