"""Read: every row of a source becomes a caption pair that the model can take, or is set aside with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from stages.captions import Block
from stages.captions.dedup import FirstPlaces
from stages.captions.examined import Examined, Pairs

_LINES = 40
"""Bits of a place for the line; those above are for the file."""


def read_pairs(examined: Iterable[tuple[Block, Examined]], limit: int | None = None) -> Iterator[Examined]:
    """What blocks hold, less the pairs that stood there before.

    Args:
        examined: the source's blocks in its order, each with what it holds by itself.
        limit: the number of pairs after which reading stops, None for all.
    """
    left, repetition = limit, _Repetition()
    for block, found in examined:
        if left == 0:
            return
        found = _without(block, found, repetition(block.file, found.pairs))
        if left is not None and len(found.pairs) >= left:
            found = _until(found, left)
        left = left if left is None else left - len(found.pairs)
        yield found


def _without(block: Block, found: Examined, reasons: Sequence[str]) -> Examined:
    """What was found, those pairs set aside for which there is a reason."""
    if not any(reasons):
        return found
    pairs = found.pairs
    again = [
        block.row(line).quarantined(reason)
        for line, reason in zip(pairs.lines, reasons, strict=True)
        if reason
    ]
    good = pairs.select([place for place, reason in enumerate(reasons) if not reason])
    return Examined(good, sorted([*found.aside, *again], key=lambda one: one.line))


def _until(found: Examined, count: int) -> Examined:
    """What was found until so many pairs are there."""
    pairs = found.pairs.select(range(count))
    return Examined(pairs, [one for one in found.aside if one.line < pairs.lines[-1]])


class _Repetition:
    """Of pairs, block by block, where each stood before: the reason to set it aside, or ""."""

    def __init__(self) -> None:
        self._seen = FirstPlaces()
        self._files: list[str] = []

    def __call__(self, file: str, pairs: Pairs) -> list[str]:
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        names = np.frombuffer(pairs.ids, ">u8").astype(np.uint64)
        here = np.array(pairs.lines, np.uint64) | np.uint64((len(self._files) - 1) << _LINES)
        return [self._stands(place) if place else "" for place in self._seen.places_of(names, here).tolist()]

    def _stands(self, place: int) -> str:
        file, line = self._files[place >> _LINES], place & ((1 << _LINES) - 1)
        elsewhere = "" if file == self._files[-1] else f" of {file}"
        return f"the same caption pair stands on line {line}{elsewhere}"
