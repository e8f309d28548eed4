"""Pairs of prompts whose alignment is known, for they are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.oracle.naive import Mapper

# One and several tokens each in the vocabulary of ``tests.models``.
SHORT = [
    "red",
    "blue",
    "green",
    "white",
    "ball",
    "box",
    "cone",
    "star",
    "tree",
    "boat",
    "cat",
    "dog",
    "sand",
    "snow",
]
LONG = ["hexagon", "umbrella", "zebra", "lantern", "violet", "kiwi"]


@dataclass(frozen=True)
class Segment:
    """A stretch of both prompts: the same words, a swap, an addition (no source), or a removal (no target)."""

    source: tuple[str, ...]
    target: tuple[str, ...]


@dataclass(frozen=True)
class PromptPair:
    """Two prompts that agree exactly in the segments whose two sides are equal."""

    segments: tuple[Segment, ...]

    @property
    def source(self) -> str:
        return " ".join(word for segment in self.segments for word in segment.source)

    @property
    def target(self) -> str:
        return " ".join(word for segment in self.segments for word in segment.target)


def mapper(tokenizer: Any, pair: PromptPair, edit: str, window: int) -> Mapper:
    """Which source tokens' maps each edit token is given, from the paper's section 3.2, word by word.

    Words of as many tokens go token by token; the maps of n tokens are shared out evenly among m others.
    """

    def length(word: str) -> int:
        return len(tokenizer.tokenize(word))

    found: dict[int, list[tuple[int, float]]] = {0: [(0, 1.0)]}
    i = j = 1
    for segment in pair.segments:
        source, target = segment.source, segment.target
        parts = (
            [((s,), (t,)) for s, t in zip(source, target, strict=True)]
            if len(source) == len(target)
            else None
        )
        for part_source, part_target in parts or [(source, target)]:
            n, m = sum(map(length, part_source)), sum(map(length, part_target))
            if part_source == part_target or (edit != "refine" and n == m):
                found |= {j + k: [(i + k, 1.0)] for k in range(m)}
            elif edit != "refine" and n and m:
                found |= {j + k: [(i + each, 1 / m) for each in range(n)] for k in range(m)}
            i, j = i + n, j + m
    found[j] = [(i, 1.0)]
    return found | {k: [(k, 1.0)] for k in range(j + 1, window)}


@st.composite
def prompt_pairs(draw: st.DrawFn, kinds: str = "swap add remove") -> PromptPair:
    """Pairs in which no word comes twice and differences are kept apart by a common word: one alignment is best."""
    words = draw(st.permutations(SHORT))
    rare = draw(st.permutations(LONG))
    segments = []
    for kind in draw(st.lists(st.sampled_from(kinds.split()), min_size=1, max_size=2)):
        common = (words.pop(),)
        segments.append(Segment(common, common))
        # A word of several tokens fits once into each prompt.
        source, target = (
            (rare.pop() if len(segments) == 1 and draw(st.booleans()) else words.pop(),)
            + ((words.pop(),) if draw(st.booleans()) else ())
            for _ in range(2)
        )
        segments.append(Segment(() if kind == "add" else source, () if kind == "remove" else target))
    if draw(st.booleans()):
        common = (words.pop(),)
        segments.append(Segment(common, common))
    return PromptPair(tuple(segments))
