from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.text.alignment import align

words = st.lists(st.sampled_from("abcd"), max_size=7)


def longest_common_subsequence(source: list[str], target: list[str]) -> int:
    """By its definition, for comparison."""

    @lru_cache(None)
    def length(i: int, j: int) -> int:
        if i == len(source) or j == len(target):
            return 0
        if source[i] == target[j]:
            return 1 + length(i + 1, j + 1)
        return max(length(i + 1, j), length(i, j + 1))

    return length(0, 0)


@given(words, words)
def test_blocks_cover_both_sides_and_match_most_words(source: list[str], target: list[str]) -> None:
    blocks = align(source, target)
    assert [i for block in blocks for i in block.source] == list(range(len(source)))
    assert [j for block in blocks for j in block.target] == list(range(len(target)))
    matched = [block for block in blocks if block.matched]
    assert all(
        [source[i] for i in block.source] == [target[j] for j in block.target] and len(block.source) == 1
        for block in matched
    )
    assert len(matched) == longest_common_subsequence(source, target)


@given(words)
def test_a_prompt_matches_itself_word_by_word(source: list[str]) -> None:
    assert [(block.source[0], block.target[0]) for block in align(source, source)] == [
        (i, i) for i in range(len(source))
    ]


@pytest.mark.parametrize(
    ("source", "target", "differences"),
    [
        ("a red ball", "a blue ball", [("red", "blue")]),
        ("a red ball", "an orange ball", [("a", "an"), ("red", "orange")]),
        ("a cat on grass", "a golden retriever on grass", [("cat", "golden retriever")]),
        ("a ball", "a ball and a star", [("", "and a star")]),
        ("a ball", "a red ball in a box", [("", "red"), ("", "in a box")]),
        ("a ball and a star", "a star", [("a ball and", "")]),
        ("a dog and a cat", "a cat and a cat", [("dog", "cat")]),
        ("a b", "b a", [("", "b"), ("b", "")]),
    ],
)
def test_differences(source: str, target: str, differences: list[tuple[str, str]]) -> None:
    before, after = source.split(), target.split()
    assert [
        (" ".join(before[i] for i in block.source), " ".join(after[j] for j in block.target))
        for block in align(before, after)
        if not block.matched
    ] == differences
