"""Text: one caption a line."""

from __future__ import annotations

from collections.abc import Iterator

from stages.captions.lines import ERRORS, open_lines
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_record import Row, until_broken


def open_text(source: CaptionSource) -> Iterator[Row]:
    """The file's lines as rows with one field, `caption`; empty ones are passed over.

    Raises:
        CaptionsError: as `open_lines` does; caption pairs are asked for, which have three fields.
    """
    if not source.alone:
        raise CaptionsError(
            f"{source.path} is text, of captions alone: pairforge pairs writes caption pairs of them, or give "
            "captions=jsonl, csv or parquet"
        )
    return until_broken(_rows(source.path, open_lines(source.path)), source.path, ERRORS)


def _rows(file: str, lines: Iterator[bytes]) -> Iterator[Row]:
    for number, raw in enumerate(lines, 1):
        if raw.isspace():
            continue
        try:
            yield Row(file, number, {"caption": raw.decode().strip()}, "", raw)
        except UnicodeDecodeError as error:
            flaw = f"not UTF-8: byte {error.start + 1} of the line is 0x{raw[error.start]:02X}"
            yield Row(file, number, None, flaw, raw)
