"""Opening a source by its kind, and reading caption pairs from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stages.captions.caption import caption_reader
from stages.captions.csv_file import open_csv
from stages.captions.dataset import open_dataset
from stages.captions.fields import check_given, roles
from stages.captions.jsonl import open_jsonl
from stages.captions.pair import pair_reader
from stages.captions.parquet import open_parquet, parquet_files
from stages.captions.row import Block, blocks
from stages.captions.source import CaptionsError, CaptionSource, near
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
    return _limited(source.limit, read_blocks(source))


def read_blocks(source: CaptionSource) -> Iterator[tuple[Block, list[CaptionPair | str]]]:
    """Blocks of rows, and of each row its caption pair or the reason why it has none; `source.limit` is not looked at.

    Raises:
        CaptionsError: as `open_captions` does.
    """
    fields = source.fields or {}
    check_given(fields, roles(source.alone))
    if source.limit is not None and source.limit < 0:
        raise CaptionsError(f"limit is {source.limit}: give a number of caption pairs, or null for all")
    kind = _kind_by_name(source.path) if source.kind == "auto" else source.kind
    if kind not in _KINDS:
        raise CaptionsError(f"there is no kind {kind!r}{near(kind, _KINDS)}: use {', '.join(_KINDS)} or auto")
    opened = _KINDS[kind](source)
    read = caption_reader(fields) if source.alone else pair_reader(fields)
    return ((block, read(block)) for block in opened)


def _limited(
    limit: int | None, read: Iterator[tuple[Block, list[CaptionPair | str]]]
) -> Iterator[CaptionPair | Quarantined]:
    good = 0
    for block, pairs in read:
        for index, pair in enumerate(pairs):
            if limit is not None and good == limit:
                return
            if isinstance(pair, str):
                yield block.row(index).quarantined(pair)
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
