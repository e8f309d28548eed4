"""CSV: a line of column names, then one pair a record; records may run over several lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from conf.messages import error_line
from stages.captions.fields import check_columns, roles
from stages.captions.lines import ERRORS, open_lines
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_record import Row, until_broken


def open_csv(source: CaptionSource) -> Iterator[Row]:
    """The file's records as rows, each at the line where it begins; empty lines are passed over.

    Raises:
        CaptionsError: as `open_lines` does; no header, or none of the columns that are needed.
    """
    path = source.path
    records = _Records(open_lines(path))
    try:
        header = next((cells for cells in records if cells), None)
    except (csv.Error, *ERRORS) as error:
        raise CaptionsError(f"{path} cannot be read: {error_line(error)}; is it CSV?") from error
    if header is None:
        raise CaptionsError(f"{path} is empty: its first line names the columns")
    names = [name.strip() for name in header]
    if len(names) == 1 and any(separator in names[0] for separator in ";\t|"):
        raise CaptionsError(f"{path} separates its columns by another sign than a comma: save it with commas")
    check_columns(path, names, source.fields or {}, roles(source.alone))
    return until_broken(_rows(path, names, records), path, ERRORS)


def _rows(file: str, names: list[str], records: _Records) -> Iterator[Row]:
    while True:
        record, flaw = None, ""
        try:
            cells = next(records)
            if not cells:
                continue
            if len(cells) != len(names):
                flaw = f"{len(cells)} cells where the header has {len(names)} columns"
            record = dict(zip(names, cells, strict=False))
            records.raw.decode()
        except StopIteration:
            return
        except csv.Error as error:
            flaw = f"not CSV: {error}"
        except UnicodeDecodeError as error:
            flaw = f"not UTF-8: byte {error.start + 1} of the record is 0x{records.raw[error.start]:02X}"
        yield Row(file, records.line, None if flaw else record, flaw, records.raw)


class _Records:
    """Records one at a time, and of the last one its first line's number and its bytes.

    After a csv.Error the next record begins at the next line.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.line = 1
        self._lines = lines
        self._taken: list[bytes] = []
        self._reader = csv.reader(self._text(), strict=True)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self.line += len(self._taken)
        self._taken.clear()
        return next(self._reader)

    @property
    def raw(self) -> bytes:
        return b"".join(self._taken)

    def _text(self) -> Iterator[str]:
        for line in self._lines:
            self._taken.append(line)
            yield line.decode("utf-8", "replace")
