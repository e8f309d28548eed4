"""Read: every row of a source becomes a caption pair that the model can take, or is set aside with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from stages import captions
from stages.records import CaptionPair, Quarantined
from stages.seen import FirstPlaces

_LINES = 40
"""Bits of a place for the line; those above are for the file."""


def read_pairs(
    source: captions.CaptionSource,
    count: Callable[[str], int],
    limit: int,
    block: Sequence[str] = (),
    spaces: bool = True,
) -> Iterator[list[CaptionPair | Quarantined]]:
    """The source in its order, block by block: pairs of which no two are the same and none is too long or has a blocked
    word, and what was set aside.

    Args:
        source: its `limit` counts the pairs that pass all this.
        count: tokens of a text as the model's tokenizer has them, start and end included.
        limit: tokens that the model's text encoder takes, start and end included.
        block: words and phrases that no pair may have, as `captions.phrases` gives them.
        spaces: whether the tokenizer's tokens may be, or hold, spaces.

    Raises:
        CaptionsError: as `captions.open_captions` does.
    """
    return _read(
        captions.read_blocks(source),
        source.limit,
        _Judge(captions.checker(count, limit, spaces), captions.blocker(block)),
    )


def _read(
    blocks: Iterator[tuple[captions.Block, list[CaptionPair | str]]], wanted: int | None, judge: _Judge
) -> Iterator[list[CaptionPair | Quarantined]]:
    good = 0
    for block, pairs in blocks:
        if good == wanted:
            return
        judged, places = judge(block, pairs)
        if wanted is not None and good + len(places) >= wanted:
            places = places[: wanted - good]
            judged = judged[: places[-1] + 1]
        good += len(places)
        # Nearly all blocks are good as a whole: of those, no pair is looked at by itself.
        yield (
            judged
            if len(places) == len(judged)
            else [
                block.row(index).quarantined(pair) if isinstance(pair, str) else pair
                for index, pair in enumerate(judged)
            ]
        )


def _good(pairs: Sequence[CaptionPair | str]) -> Sequence[int]:
    """The places of those that are pairs."""
    if str not in map(type, pairs):
        return range(len(pairs))
    return [place for place, pair in enumerate(pairs) if not isinstance(pair, str)]


class _Judge:
    """What becomes of a block's pairs after all blocks before it: each as it is, or why it is set aside."""

    def __init__(
        self,
        too_long: Callable[[Sequence[CaptionPair]], list[str]],
        blocked: Callable[[Sequence[CaptionPair]], list[str]],
    ) -> None:
        self._too_long, self._blocked = too_long, blocked
        self._seen = FirstPlaces()
        self._files: list[str] = []

    def __call__(
        self, block: captions.Block, pairs: Sequence[CaptionPair | str]
    ) -> tuple[list[CaptionPair | str], Sequence[int]]:
        """Each pair as it is, or why it is set aside; and the places of those that are good."""
        if not self._files or self._files[-1] != block.file:
            self._files.append(block.file)
        judged, good = list(pairs), _good(pairs)
        for judge in (self._words, self._length, self._repetition):
            whole = len(good) == len(judged)
            reasons = judge(
                judged if whole else [judged[place] for place in good],
                block.lines if whole else [block.lines[place] for place in good],
            )
            if any(reasons):
                for place, reason in zip(good, reasons, strict=True):
                    if reason:
                        judged[place] = reason
                good = _good(judged)
        return judged, good

    def _words(self, pairs: Sequence[CaptionPair], lines: Sequence[int]) -> list[str]:
        return self._blocked(pairs)

    def _length(self, pairs: Sequence[CaptionPair], lines: Sequence[int]) -> list[str]:
        return self._too_long(pairs)

    def _repetition(self, pairs: Sequence[CaptionPair], lines: Sequence[int]) -> list[str]:
        names = np.frombuffer(bytes.fromhex("".join([pair.id for pair in pairs])), ">u8").astype(np.uint64)
        here = np.array(lines, np.uint64) | np.uint64((len(self._files) - 1) << _LINES)
        return [self._stands(place) if place else "" for place in self._seen.places_of(names, here).tolist()]

    def _stands(self, place: int) -> str:
        file, line = self._files[place >> _LINES], place & ((1 << _LINES) - 1)
        elsewhere = "" if file == self._files[-1] else f" of {file}"
        return f"the same caption pair stands on line {line}{elsewhere}"
