"""Counts a writer's answers one by one, and draws the examples of the report."""

from __future__ import annotations

import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise

from stages.records import WrittenPair

REFUSED = 3
"""Examples of each reason of refusal."""

Words = list[tuple[str, bool]]
"""Pieces of a text; True marks a piece that differs from the other text."""


class Sample:
    """At most ``count`` of all answers added, drawn by a hash of each: equal runs draw equal answers."""

    def __init__(self, count: int) -> None:
        self._count = count
        # A heap of negated hashes: the largest hash is dropped first.
        self._heap: list[tuple[int, int, WrittenPair]] = []
        self._count_added = 0

    def add(self, answer: WrittenPair) -> None:
        name = f"{answer.pair_id} {answer.sample_index}".encode()
        key = -int.from_bytes(hashlib.sha256(name).digest()[:8])
        self._count_added += 1
        heapq.heappush(self._heap, (key, self._count_added, answer))
        if len(self._heap) > self._count:
            heapq.heappop(self._heap)

    def answers(self) -> list[WrittenPair]:
        """The drawn answers in the order in which they were added."""
        return [answer for _, _, answer in sorted(self._heap, key=lambda entry: entry[1])]


@dataclass
class Tally:
    """Counts of answers.

    ``verbs`` counts the first words of the kept instructions, ``tried`` those of all. ``phrases`` counts the two words
    after each verb, ``runs`` pairs of neighbouring words.
    """

    shown: int = 12
    kept: int = 0
    verbs: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    phrases: dict[str, Counter[str]] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    instructions: Counter[str] = field(default_factory=Counter)
    examples: Sample = field(init=False)
    refused: dict[str, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.examples = Sample(self.shown)

    def add(self, answer: WrittenPair) -> None:
        words = re.findall(r"\w+", answer.instruction.casefold())
        if words:
            self.tried[words[0]] += 1
        if not answer.kept:
            self.refused.setdefault(answer.reason, Sample(REFUSED)).add(answer)
            return
        verb = words[0] if words else "?"
        self.kept += 1
        self.verbs[verb] += 1
        self.phrases.setdefault(verb, Counter())[" ".join(words[1:3])] += 1
        self.lengths[len(words)] += 1
        self.words.update(words)
        self.runs.update(pairwise(words))
        self.instructions[" ".join(words)] += 1
        self.examples.add(answer)


def diversity(tally: Tally) -> Sequence[tuple[str, str]]:
    """Measures of variety of the kept instructions. Distinct-n: distinct runs of n words over all (Li et al. 2016)."""
    shares = (
        ("different instructions", len(tally.instructions), tally.kept),
        ("distinct-1: different words, of all words", len(tally.words), tally.words.total()),
        ("distinct-2: different pairs of words, of all", len(tally.runs), tally.runs.total()),
    )
    lines = [(name, f"{count / of:.1%}") for name, count, of in shares if of]
    return [*lines, ("different verbs", f"{len(tally.verbs):,}")]


def difference(before: str, after: str) -> tuple[Words, Words]:
    """Split both texts into pieces of words, each marked if the other text differs there."""
    old, new = before.split(), after.split()
    pieces: tuple[Words, Words] = ([], [])
    for tag, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for part, words in ((pieces[0], old[i:j]), (pieces[1], new[k:m])):
            if words:
                part.append((" ".join(words), tag != "equal"))
    return pieces
