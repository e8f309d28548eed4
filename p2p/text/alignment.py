"""Alignment of the words of a source and a target prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Words in which the prompts agree or differ, as indices of words of the source and of the target.

    ``matched`` blocks have the same words on both sides, or words that were paired by hand. Other blocks are a swap if
    both sides have words, an addition if the source is empty, and a removal if the target is empty.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    matched: bool


def align(
    source: Sequence[str], target: Sequence[str], by_hand: Sequence[tuple[Sequence[int], Sequence[int]]] = ()
) -> tuple[Block, ...]:
    """Aligns two prompts word by word: the alignment function A of the paper, section 3.2.

    It matches as many words as possible, in order. Among such alignments it takes the one that keeps most neighbours
    together, then the one that matches earliest. A swap of equally many words becomes one block for each word.

    Args:
        source: the source's words, case folded.
        target: the target's words, case folded.
        by_hand: pairs of indices of source and target words that match; the other words are aligned without them.

    Returns:
        Blocks that cover all words of both sides once: those by hand, then the others in order.
    """
    given_source = {i for words, _ in by_hand for i in words}
    given_target = {j for _, words in by_hand for j in words}
    rest_source = [i for i in range(len(source)) if i not in given_source]
    rest_target = [j for j in range(len(target)) if j not in given_target]
    blocks = [block for pair in by_hand for block in _blocks(*pair, matched=True)]
    at_source = at_target = 0
    for i, j in [
        *_matches([source[i] for i in rest_source], [target[j] for j in rest_target]),
        (len(rest_source), len(rest_target)),
    ]:
        blocks += _blocks(rest_source[at_source:i], rest_target[at_target:j], matched=False)
        blocks += _blocks(rest_source[i : i + 1], rest_target[j : j + 1], matched=True)
        at_source, at_target = i + 1, j + 1
    return tuple(blocks)


def _blocks(source: Sequence[int], target: Sequence[int], matched: bool) -> list[Block]:
    if len(source) == len(target):
        return [Block((i,), (j,), matched) for i, j in zip(source, target, strict=True)]
    return [Block(tuple(source), tuple(target), matched)]


def _matches(source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
    """Longest common subsequence by the score (matches, matches that directly follow another match)."""
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
