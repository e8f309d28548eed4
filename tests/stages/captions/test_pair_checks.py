from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions.pair_checks import duplicate_check, token_limit_check
from stages.records import CaptionPair
from tests.models import clip_tokenizer

TOKENIZER = clip_tokenizer()


def count(text: str) -> int:
    return len(TOKENIZER(text).input_ids)


WORDS = st.lists(st.sampled_from(["red", "ball", "hexagon", "café", "!!", "ß", "红", "👩‍🚀"]), max_size=12)


@given(WORDS, WORDS, st.integers(2, 40), st.booleans())
def test_a_pair_passes_if_and_only_if_both_captions_fit(
    before: list[str], after: list[str], limit: int, spaces: bool
) -> None:
    pair = CaptionPair(" ".join(before), "x" * 500, " ".join(after))
    reason = token_limit_check(count, limit, spaces)(pair, "f")
    assert (reason == "") == (count(pair.input) <= limit and count(pair.output) <= limit)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_ascii_text_has_at_most_one_token_a_character(text: str) -> None:
    assert count(text) <= len(text) - text.count(" ") + 2


@given(st.text(max_size=60))
def test_no_text_has_more_tokens_than_its_words_one_by_one(text: str) -> None:
    assert count(text) - count("") <= sum(count(word) - count("") for word in text.split(" "))


@pytest.mark.parametrize("field", ["input", "output"])
def test_the_reason_names_the_caption_and_both_numbers(field: str) -> None:
    pair = CaptionPair(**{"input": "a", "edit": "b", "output": "c", field: "a red ball on grass"})
    assert token_limit_check(count, 6)(pair, "f") == (
        f"the {field} caption has 7 tokens, the model's text encoder takes 6: "
        "shorten it, or cut it with edit.too_long=truncate"
    )
    assert token_limit_check(count, 7)(pair, "f") == ""


def pair(number: int, line: int) -> CaptionPair:
    return CaptionPair(f"a {number}", "e", f"b {number}", line=line)


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=12), max_size=4))
def test_it_names_the_first_place_as_a_plain_search_does(files: list[list[tuple[int, int]]]) -> None:
    check, first = duplicate_check(), dict[int, tuple[str, int]]()
    for name, records in zip("abcd", files, strict=False):
        line = 0
        for number, step in records:
            line += step
            file, place = first.setdefault(number, (name, line))
            elsewhere = "" if file == name else f" of {file}"
            same = f"the same caption pair stands on line {place}{elsewhere}"
            expected = "" if (file, place) == (name, line) else same
            assert check(pair(number, line), name) == expected


def test_a_pair_takes_no_more_than_150_bytes() -> None:
    check, count = duplicate_check(), 100_000
    tracemalloc.start()
    for line in range(1, count + 1):
        assert not check(pair(line, line), "f")
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 150 * count
    assert peak < 1.6 * held
