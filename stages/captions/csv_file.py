"""Reads CSV: a line of column names, then records, each of one or more lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from conf.messages import error_line
from stages.captions.fields import check_columns
from stages.captions.source import (
    LINE_ERRORS,
    CaptionsError,
    CaptionSource,
    SourceRecord,
    open_lines,
    undecodable,
    until_broken,
)


def open_csv(source: CaptionSource) -> Iterator[SourceRecord]:
    """Yields the file's records, each with the line where it begins; skips empty lines.

    Raises:
        CaptionsError: `open_lines` fails, or the header or a column that is needed is missing.
    """
    path = source.path
    records = _Records(open_lines(path))
    try:
        header = next((cells for cells in records if cells), None)
    except (csv.Error, *LINE_ERRORS) as error:
        raise CaptionsError(f"{path} cannot be read: {error_line(error)}; is it CSV?") from error
    if header is None:
        raise CaptionsError(f"{path} is empty: its first line names the columns")
    names = [name.strip() for name in header]
    if len(names) == 1 and any(separator in names[0] for separator in ";\t|"):
        raise CaptionsError(f"{path} does not separate its columns by commas: save it with commas")
    check_columns(path, names, source)
    return until_broken(_parse(path, names, records), path, LINE_ERRORS)


def _parse(file: str, names: list[str], records: _Records) -> Iterator[SourceRecord]:
    while True:
        fields, flaw = None, ""
        try:
            cells = next(records)
            if not cells:
                continue
            if len(cells) != len(names):
                flaw = f"{len(cells)} cells where the header has {len(names)} columns"
            fields = dict(zip(names, cells, strict=False))
            records.raw.decode()
        except StopIteration:
            return
        except csv.Error as error:
            flaw = f"not CSV: {error}"
        except UnicodeDecodeError as error:
            flaw = undecodable(records.raw, error, "record")
        yield SourceRecord(file, records.line, None if flaw else fields, flaw, records.raw)


class _Records:
    """Iterates over records; `line` is the first line of the last record and `raw` its bytes.

    After a csv.Error the next record begins at the next line.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.line = 1
        self._lines = lines
        self._raw_lines: list[bytes] = []
        self._reader = csv.reader(self._text(), strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self.line += len(self._raw_lines)
        self._raw_lines.clear()
        return next(self._reader)

    @property
    def raw(self) -> bytes:
        return b"".join(self._raw_lines)

    def _text(self) -> Iterator[str]:
        for line in self._lines:
            self._raw_lines.append(line)
            yield line.decode("utf-8", "replace")
