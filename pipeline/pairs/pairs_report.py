"""The report of a run that writes caption pairs: kinds, lengths and variety of the edits, and examples."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from operator import itemgetter

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dataset.funnel import Funnel, caption_steps
from pipeline.pairs.pack_pairs import ANSWERS
from pipeline.report.template import REPORT, template
from stages.records import WrittenPair
from stages.storage.store import Store
from stages.writers.checks import REASONS

VERBS, PHRASES, COMMON = 20, 3, 8
REFUSED = 3
"""Examples of each reason of refusal."""

Words = list[tuple[str, bool]]
"""Pieces of a text; True marks a piece that differs from the other text."""


class Sample:
    """At most ``count`` of all answers added, drawn by a hash of each: equal runs draw equal answers."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._drawn: list[tuple[bytes, WrittenPair]] = []

    def add(self, answer: WrittenPair) -> None:
        """Add an answer. If there are too many, the one with the largest hash is dropped."""
        name = f"{answer.pair_id} {answer.sample_index}".encode()
        self._drawn.append((hashlib.sha256(name).digest(), answer))
        if len(self._drawn) > self._count:
            self._drawn.remove(max(self._drawn, key=itemgetter(0)))

    def answers(self) -> list[WrittenPair]:
        """The drawn answers in the order in which they were added."""
        return [answer for _, answer in self._drawn]


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


def write(store: Store, funnel: Funnel, title: str, shown: int) -> None:
    """Write report/index.html of the packed answers; ``shown`` of those kept are examples."""
    tally = Tally(shown)
    table = pq.ParquetFile(pa.BufferReader(store.read(ANSWERS)))
    for batch in table.iter_batches(4096):
        for record in batch.to_pylist():
            tally.add(WrittenPair(**record))
    store.write(REPORT, html(funnel, tally, title).encode())


def html(funnel: Funnel, tally: Tally, title: str) -> str:
    """The whole page, in one file. A bar is a name, a remark and a count."""
    known = {reason: text for reason, text in REASONS.items() if reason in funnel.rejected}
    return template("pairs.html").render(
        title=title,
        funnel=funnel,
        tally=tally,
        steps=caption_steps(funnel),
        losses=[(text, "", funnel.rejected[reason]) for reason, text in known.items()],
        verbs=list(_verbs(tally)),
        lengths=[(f"{n} words" if n > 1 else "1 word", "", tally.lengths[n]) for n in sorted(tally.lengths)],
        common=[(text, "", count) for text, count in tally.instructions.most_common(COMMON) if count > 1],
        diversity=diversity(tally),
        refused=[
            (text, funnel.rejected[reason], tally.refused[reason].answers())
            for reason, text in known.items()
            if reason in tally.refused
        ],
        difference=difference,
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def _verbs(tally: Tally) -> Iterable[tuple[str, str, int]]:
    """The most frequent verbs, each with the phrases that follow it most often and the share that was kept."""
    for verb, count in tally.verbs.most_common(VERBS):
        phrases = ", ".join(text for text, _ in tally.phrases[verb].most_common(PHRASES) if text)
        kept = f"{count / tally.tried[verb]:.0%} of {tally.tried[verb]:,} kept" if tally.tried[verb] else ""
        yield verb, f"{phrases} · {kept}" if phrases and kept else phrases or kept, count
