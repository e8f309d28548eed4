"""Read: every row of a source becomes a caption pair that the model can take, or is set aside with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stages import captions
from stages.captions.row import Row
from stages.records import CaptionPair, Quarantined
from stages.seen import FirstPlaces

_LINES = 40
"""Bits of a place for the line; those above are for the file."""


def read_pairs(
    source: captions.CaptionSource, count: Callable[[str], int], limit: int
) -> Iterator[CaptionPair | Quarantined]:
    """The source in its order: pairs of which no two are the same and none is too long, and what was set aside.

    Args:
        source: its `limit` counts the pairs that pass all this.
        count: tokens of a text as the model's tokenizer has them, start and end included.
        limit: tokens that the model's text encoder takes, start and end included.

    Raises:
        CaptionsError: as `captions.open_captions` does.
    """
    return _read(captions.read_rows(source), source.limit, count, limit)


def _read(
    rows: Iterator[tuple[Row, CaptionPair | str]],
    wanted: int | None,
    count: Callable[[str], int],
    limit: int,
) -> Iterator[CaptionPair | Quarantined]:
    seen, check = FirstPlaces(), captions.checker(count, limit)
    files: list[str] = []
    good = 0
    for row, pair in rows:
        if good == wanted:
            return
        if not files or files[-1] != row.file:
            files.append(row.file)
        if isinstance(pair, str):
            yield row.quarantined(pair)
        elif reason := check(pair):
            yield row.quarantined(reason)
        elif first := seen.place_of(int(pair.id, 16), (len(files) - 1) << _LINES | row.line):
            file, line = files[first >> _LINES], first & ((1 << _LINES) - 1)
            elsewhere = "" if file == row.file else f" of {file}"
            yield row.quarantined(f"the same caption pair stands on line {line}{elsewhere}")
        else:
            good += 1
            yield pair
