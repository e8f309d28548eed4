"""What a block of rows is by itself: pairs that the model can take, and rows set aside with their reasons."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import p2p
from stages import captions
from stages.records import CaptionPair, Quarantined

ID_BYTES = 8


@dataclass(frozen=True)
class Pairs:
    """Caption pairs of one file as columns: of millions, no object is made of each, and they go from process to process
    as texts.

    Attributes:
        lines: where each stands.
        ids: `CaptionPair.id` of each, as 8 bytes.
        texts: `CaptionPair.text` of each.
        metas: `CaptionPair.meta` of each.
    """

    lines: Sequence[int]
    ids: bytes
    texts: Sequence[str]
    metas: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[CaptionPair]:
        return (CaptionPair(**json.loads(text)) for text in self.texts)

    @property
    def names(self) -> list[str]:
        """`CaptionPair.id` of each."""
        return self.ids.hex(" ", ID_BYTES).split()

    def select(self, places: Sequence[int]) -> Pairs:
        """Those at ``places`` alone, in that order."""
        return Pairs(
            [self.lines[place] for place in places],
            b"".join([self.ids[ID_BYTES * place : ID_BYTES * (place + 1)] for place in places]),
            [self.texts[place] for place in places],
            [self.metas[place] for place in places],
        )


@dataclass(frozen=True)
class Examined:
    """A block's pairs, and its other rows, either in their order."""

    pairs: Pairs
    aside: Sequence[Quarantined] = ()


@dataclass(frozen=True)
class Rules:
    """What rows are held to, as plain data: any process can do it.

    Attributes:
        fields: as `CaptionSource` has them.
        alone: likewise.
        blocked: as `captions.phrases` gives them.
        prompts: the arguments of `p2p.load_prompts`: whose tokenizer counts.
        cut: whether captions may have more tokens than the text encoder takes.
    """

    fields: Mapping[str, str]
    alone: bool
    blocked: Sequence[str]
    prompts: tuple[Any, ...]
    cut: bool = False


Examine = Callable[[captions.Block], Examined]


def examiner(rules: Rules) -> Examine:
    """Raises p2p.ModelError for a tokenizer that is not there."""
    prompts = p2p.load_prompts(*rules.prompts)
    limit = sys.maxsize if rules.cut else prompts.limit
    return examine_by(
        captions.reader(rules.fields, rules.alone),
        captions.blocker(rules.blocked),
        captions.checker(prompts.count, limit, prompts.spaces),
    )


def examine_by(
    read: Callable[[captions.Block], list[CaptionPair | str]],
    *checks: Callable[[Sequence[CaptionPair]], Sequence[str]],
) -> Examine:
    """A function from a block to what it holds: ``read`` tells pairs from what is none, each check says of pairs why
    they are set aside, or ""."""

    def examine(block: captions.Block) -> Examined:
        judged = read(block)
        for check in checks:
            good = _pairs_of(judged)
            reasons = check(good)
            if any(reasons):
                left = zip(good, reasons, strict=True)
                judged = [one if isinstance(one, str) else _either(*next(left)) for one in judged]
        good = _pairs_of(judged)
        if len(good) == len(judged):
            return Examined(_columns(good))
        rows = zip(block.lines, judged, strict=True)
        return Examined(
            _columns(good),
            [block.row(line).quarantined(reason) for line, reason in rows if isinstance(reason, str)],
        )

    return examine


def _either(pair: CaptionPair, reason: str) -> CaptionPair | str:
    return reason or pair


def _pairs_of(judged: list[CaptionPair | str]) -> Sequence[CaptionPair]:
    # Nearly all blocks are good as a whole: of those, no pair is looked at by itself.
    if str not in map(type, judged):
        return judged  # type: ignore[return-value]
    return [one for one in judged if isinstance(one, CaptionPair)]


def _columns(pairs: Sequence[CaptionPair]) -> Pairs:
    return Pairs(
        [pair.line for pair in pairs],
        bytes.fromhex("".join([pair.id for pair in pairs])),
        [pair.text for pair in pairs],
        [pair.meta for pair in pairs],
    )
