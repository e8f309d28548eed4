"""Opening a source by its kind, and reading caption pairs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from stages.captions.caption import caption_reader
from stages.captions.csv_file import open_csv
from stages.captions.fields import check_given, roles
from stages.captions.hf_dataset import open_dataset
from stages.captions.jsonl import open_jsonl
from stages.captions.parquet_file import open_parquet, parquet_files
from stages.captions.parse import pair_reader
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_plugin import open_own
from stages.captions.source_record import Block, blocks
from stages.captions.text_file import open_text
from stages.records import CaptionPair, Quarantined

_KINDS: dict[str, Callable[[CaptionSource], Iterator[Block]]] = {
    "jsonl": open_jsonl,
    "csv": lambda source: blocks(open_csv(source)),
    "parquet": lambda source: blocks(open_parquet(source)),
    "dataset": lambda source: blocks(open_dataset(source)),
    "text": lambda source: blocks(open_text(source)),
}
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".txt": "text"}


def open_captions(source: CaptionSource) -> Iterator[CaptionPair | Quarantined]:
    """The source's caption pairs in its order, and in their places the rows that are none, with the reason.

    No more than a block of rows is in memory.

    Raises:
        CaptionsError: at once where there is no such source, or its kind or columns are not to be had; on reading
            where it breaks off before the first row.
    """
    read = reader(source.fields or {}, source.alone)
    return _limited(source.limit, ((block, read(block)) for block in open_blocks(source)))


def open_blocks(source: CaptionSource) -> Iterator[Block]:
    """The source's rows; `source.limit` is not looked at.

    Raises:
        CaptionsError: as `open_captions` does.
    """
    check_given(source.fields or {}, roles(source.alone))
    if source.limit is not None and source.limit < 0:
        raise CaptionsError(f"limit is {source.limit}: give a number of caption pairs, or null for all")
    kind = _kind_by_name(source.path) if source.kind == "auto" else source.kind
    return _KINDS[kind](source) if kind in _KINDS else blocks(open_own(source, [*_KINDS, "auto"]))


def reader(fields: Mapping[str, str], alone: bool) -> Callable[[Block], list[CaptionPair | str]]:
    """A function from a block to each row's caption pair, or the reason why it has none; `CaptionSource` has the
    arguments."""
    return caption_reader(fields) if alone else pair_reader(fields)


def _limited(
    limit: int | None, read: Iterator[tuple[Block, list[CaptionPair | str]]]
) -> Iterator[CaptionPair | Quarantined]:
    good = 0
    for block, pairs in read:
        for line, pair in zip(block.lines, pairs, strict=True):
            if limit is not None and good == limit:
                return
            if isinstance(pair, str):
                yield block.row(line).quarantined(pair)
            else:
                good += 1
                yield pair


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
