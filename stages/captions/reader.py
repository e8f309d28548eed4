"""Opens a source of captions by its kind and reads caption pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stages.captions.csv_file import open_csv
from stages.captions.fields import check_given, roles
from stages.captions.hf_dataset import open_dataset
from stages.captions.jsonl import open_jsonl
from stages.captions.parquet_file import open_parquet, parquet_files
from stages.captions.parse import pair_parser
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_plugin import open_module
from stages.captions.source_record import SourceRecord
from stages.captions.text_file import open_text
from stages.records import CaptionPair, Quarantined

Check = Callable[[CaptionPair, str], str]
"""A function from a pair and the name of its file to the reason why it is set aside, or ""."""

_KINDS = {
    "jsonl": open_jsonl,
    "csv": open_csv,
    "parquet": open_parquet,
    "dataset": open_dataset,
    "text": open_text,
}
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}


def open_captions(source: CaptionSource, checks: Sequence[Check] = ()) -> Iterator[CaptionPair | Quarantined]:
    """Yields the source's caption pairs in its order and, in the place of each bad record, the reason.

    A pair passes the checks in their order. One record at a time is in memory.

    Raises:
        CaptionsError: at once if the source is missing or its kind or columns are unknown; on reading if it breaks off
            before the first record.
    """
    check_given(source.fields or {}, roles(source.captions_only))
    if source.limit is not None and source.limit < 0:
        raise CaptionsError(f"limit is {source.limit}: give a number of caption pairs, or null for all")
    kind = _kind_by_name(source.path) if source.kind == "auto" else source.kind
    records = _KINDS[kind](source) if kind in _KINDS else open_module(source, [*_KINDS, "auto"])
    return _read(records, source, checks)


def _read(
    records: Iterator[SourceRecord], source: CaptionSource, checks: Sequence[Check]
) -> Iterator[CaptionPair | Quarantined]:
    parse, count = pair_parser(source), 0
    for record in records:
        if count == source.limit:
            return
        pair = parse(record)
        for check in checks:
            if isinstance(pair, CaptionPair):
                pair = check(pair, record.file) or pair
        if isinstance(pair, CaptionPair):
            count += 1
            yield pair
        else:
            yield record.quarantine(pair)


def _kind_by_name(path: str) -> str:
    file = Path(path)
    if file.is_dir() and parquet_files(path):
        return "parquet"
    name = file.name.lower().removesuffix(".gz")
    kind = _SUFFIXES.get(Path(name).suffix)
    if kind is None or file.is_dir():
        raise CaptionsError(
            f"{path}: the name does not show the format ({', '.join(_SUFFIXES)}): give captions=jsonl, csv, parquet "
            "or dataset"
        )
    return kind
