"""Which words of the target stand for which words of the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A run of words in which the prompts agree or differ: half-open ranges of words in source and target.

    ``common`` blocks hold the same words on both sides. Of the others, both sides filled is a swap, an empty source an
    addition, an empty target a removal.
    """

    source: range
    target: range
    common: bool


def align(source: Sequence[str], target: Sequence[str]) -> tuple[Block, ...]:
    """Align two prompts word by word: the alignment function A of the paper, section 3.2.

    As many words as possible are matched, in order; among such alignments the one with most neighbours kept together,
    and then the one that matches earliest. Swaps of equally many words come out word by word.

    Args:
        source: the source's words, case folded.
        target: the target's words, case folded.

    Returns:
        Blocks in order that cover all words of both sides.
    """
    matches = _matches(source, target)
    blocks: list[Block] = []
    at_source = at_target = 0
    for i, j in [*matches, (len(source), len(target))]:
        blocks += _difference(range(at_source, i), range(at_target, j))
        if i < len(source):
            blocks.append(Block(range(i, i + 1), range(j, j + 1), common=True))
        at_source, at_target = i + 1, j + 1
    return tuple(blocks)


def _difference(source: range, target: range) -> list[Block]:
    if len(source) == len(target):
        return [Block(source[k : k + 1], target[k : k + 1], common=False) for k in range(len(source))]
    return [Block(source, target, common=False)]


def _matches(source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
    """Longest common subsequence with affine preference: (matches, matches that follow upon another)."""
    n, m = len(source), len(target)
    # best[i][j][k]: score of the suffixes from i and j; k = 1 if the words just before them were matched.
    best = [[[(0, 0), (0, 0)] for _ in range(m + 1)] for _ in range(n + 1)]
    for i in reversed(range(n)):
        for j in reversed(range(m)):
            skip = max(best[i + 1][j][0], best[i][j + 1][0])
            for k in (0, 1):
                best[i][j][k] = max(skip, _matched(best, i, j, k)) if source[i] == target[j] else skip
    pairs = []
    i = j = k = 0
    while i < n and j < m:
        if source[i] == target[j] and _matched(best, i, j, k) == best[i][j][k]:
            pairs.append((i, j))
            i, j, k = i + 1, j + 1, 1
        elif best[i][j + 1][0] == best[i][j][k]:
            j, k = j + 1, 0
        else:
            i, k = i + 1, 0
    return pairs


def _matched(best: list[list[list[tuple[int, int]]]], i: int, j: int, k: int) -> tuple[int, int]:
    count, together = best[i + 1][j + 1][1]
    return count + 1, together + k
