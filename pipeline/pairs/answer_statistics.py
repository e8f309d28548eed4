"""What is counted of a writer's answers, one after the other, and which of them are shown."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise

from stages.formats.answers import WrittenPair

REFUSED = 3
"""Examples of each reason."""

Words = list[tuple[str, bool]]
"""A text in pieces, each with whether the other text has others there."""


class Drawn:
    """So many answers of all that come, drawn by a hash of each: the same of the same run, from all of its captions."""

    def __init__(self, count: int) -> None:
        self._count = count
        # The largest hash stands first, negated, and goes first.
        self._heap: list[tuple[int, int, WrittenPair]] = []
        self._seen = 0

    def add(self, answer: WrittenPair) -> None:
        name = f"{answer.pair_id} {answer.sample_index}".encode()
        draw = -int.from_bytes(hashlib.sha256(name).digest()[:8])
        self._seen += 1
        heapq.heappush(self._heap, (draw, self._seen, answer))
        if len(self._heap) > self._count:
            heapq.heappop(self._heap)

    def answers(self) -> list[WrittenPair]:
        """In the order in which they came."""
        return [answer for _, _, answer in sorted(self._heap, key=lambda one: one[1])]


@dataclass
class Tally:
    """``verbs`` counts the first words of the kept instructions, ``tried`` those of all that could be read."""

    shown: int = 12
    kept: int = 0
    verbs: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    sayings: dict[str, Counter[str]] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    instructions: Counter[str] = field(default_factory=Counter)
    examples: Drawn = field(init=False)
    refused: dict[str, Drawn] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.examples = Drawn(self.shown)

    def add(self, answer: WrittenPair) -> None:
        words = re.findall(r"\w+", answer.instruction.casefold())
        if words:
            self.tried[words[0]] += 1
        if not answer.kept:
            self.refused.setdefault(answer.reason, Drawn(REFUSED)).add(answer)
            return
        verb = words[0] if words else "?"
        self.kept += 1
        self.verbs[verb] += 1
        self.sayings.setdefault(verb, Counter())[" ".join(words[1:3])] += 1
        self.lengths[len(words)] += 1
        self.words.update(words)
        self.runs.update(pairwise(words))
        self.instructions[" ".join(words)] += 1
        self.examples.add(answer)


def diversity(tally: Tally) -> Sequence[tuple[str, str]]:
    """How varied the kept instructions are; distinct-n as Li et al. 2016 have it: different runs of n words by all."""
    shares = (
        ("different instructions", len(tally.instructions), tally.kept),
        ("distinct-1: different words, of all words", len(tally.words), tally.words.total()),
        ("distinct-2: different pairs of words, of all", len(tally.runs), tally.runs.total()),
    )
    told = [(name, f"{count / of:.1%}") for name, count, of in shares if of]
    return [*told, ("different verbs", f"{len(tally.verbs):,}")]


def difference(before: str, after: str) -> tuple[Words, Words]:
    """Both texts in pieces of words: which of them the other does not have in that place."""
    one, other = before.split(), after.split()
    pieces: tuple[Words, Words] = ([], [])
    for tag, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        for into, words in ((pieces[0], one[a:b]), (pieces[1], other[c:d])):
            if words:
                into.append((" ".join(words), tag != "equal"))
    return pieces
