"""Opening a source by its kind, and reading caption pairs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stages.captions.csv_file import open_csv
from stages.captions.dataset import open_dataset
from stages.captions.fields import check_given
from stages.captions.jsonl import open_jsonl
from stages.captions.pair import pair_reader
from stages.captions.parquet import open_parquet, parquet_files
from stages.captions.row import Row
from stages.captions.source import CaptionsError, CaptionSource, near
from stages.records import CaptionPair, Quarantined

_KINDS: dict[str, Callable[[CaptionSource], Iterator[Row]]] = {
    "jsonl": open_jsonl,
    "csv": open_csv,
    "parquet": open_parquet,
    "dataset": open_dataset,
}
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}


def open_captions(source: CaptionSource) -> Iterator[CaptionPair | Quarantined]:
    """The source's caption pairs in its order, and in their places the rows that are none, with the reason.

    Nothing but the row at hand (of Parquet a thousand) is in memory.

    Raises:
        CaptionsError: at once where there is no such source, or its kind or columns are not to be had; on reading
            where it breaks off before the first row.
    """
    return _limited(source.limit, read_rows(source))


def read_rows(source: CaptionSource) -> Iterator[tuple[Row, CaptionPair | str]]:
    """Every row with its caption pair, or with the reason why it has none; `source.limit` is not looked at.

    Raises:
        CaptionsError: as `open_captions` does.
    """
    fields = source.fields or {}
    check_given(fields)
    if source.limit is not None and source.limit < 0:
        raise CaptionsError(f"limit is {source.limit}: give a number of caption pairs, or null for all")
    kind = _kind_by_name(source.path) if source.kind == "auto" else source.kind
    if kind not in _KINDS:
        raise CaptionsError(f"there is no kind {kind!r}{near(kind, _KINDS)}: use {', '.join(_KINDS)} or auto")
    return _pairs(_KINDS[kind](source), pair_reader(fields))


def _limited(
    limit: int | None, rows: Iterator[tuple[Row, CaptionPair | str]]
) -> Iterator[CaptionPair | Quarantined]:
    good = 0
    for row, pair in rows:
        if limit is not None and good == limit:
            return
        if isinstance(pair, str):
            yield row.quarantined(pair)
        else:
            good += 1
            yield pair


def _pairs(
    rows: Iterator[Row], read: Callable[[dict[str, Any], int], CaptionPair | str]
) -> Iterator[tuple[Row, CaptionPair | str]]:
    for row in rows:
        yield row, row.flaw if row.record is None else read(row.record, row.line)


def _kind_by_name(path: str) -> str:
    file = Path(path)
    if file.is_dir() and parquet_files(path):
        return "parquet"
    name = file.name.lower().removesuffix(".gz")
    kind = _SUFFIXES.get(Path(name).suffix)
    if kind is None or file.is_dir():
        raise CaptionsError(
            f"{path}: its name does not say what it is ({', '.join(_SUFFIXES)}): give captions=jsonl, csv, parquet "
            "or dataset"
        )
    return kind
