"""Reads text files: one caption a line."""

from __future__ import annotations

from collections.abc import Iterator

from stages.captions.source import (
    LINE_ERRORS,
    CaptionsError,
    CaptionSource,
    SourceRecord,
    open_lines,
    undecodable,
    until_broken,
)


def open_text(source: CaptionSource) -> Iterator[SourceRecord]:
    """Yields the file's lines as records with the field `caption`; skips blank lines.

    Raises:
        CaptionsError: `open_lines` fails, or caption pairs are needed, which have three fields.
    """
    if not source.captions_only:
        raise CaptionsError(
            f"{source.path} is text and has captions only: write caption pairs for them with pairforge pairs, or give "
            "captions=jsonl, csv or parquet"
        )
    return until_broken(_records(source.path, open_lines(source.path)), source.path, LINE_ERRORS)


def _records(file: str, lines: Iterator[bytes]) -> Iterator[SourceRecord]:
    for number, raw in enumerate(lines, 1):
        if raw.isspace():
            continue
        try:
            yield SourceRecord(file, number, {"caption": raw.decode().strip()}, "", raw)
        except UnicodeDecodeError as error:
            yield SourceRecord(file, number, None, undecodable(raw, error), raw)
