from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.errors import P2PError
from p2p.text.token_windows import PromptWindow
from p2p.text.words import TokenizedPrompt, spans
from tests import models

WINDOW = PromptWindow(models.clip_tokenizer(), models.TOKENS)
ROOMY = PromptWindow(WINDOW.tokenizer, 400)


def end_of(prompt: TokenizedPrompt) -> int:
    return prompt.segments[0].specials[-1]


def texts_of(text: str) -> list[str]:
    return [text[start:stop] for start, stop in spans(text)]


def test_words_know_their_tokens() -> None:
    prompt = WINDOW.tokenize("A Red hexagon, on the dog's sand!")
    assert [word.text for word in prompt.words] == [
        "a",
        "red",
        "hexagon",
        ",",
        "on",
        "the",
        "dog's",
        "sand",
        "!",
    ]
    pieces = WINDOW.tokenizer.convert_ids_to_tokens(WINDOW.tokenizer(prompt.text).input_ids)
    spelt = ["".join(pieces[token] for token in word.tokens).replace("</w>", "") for word in prompt.words]
    assert spelt == [word.text for word in prompt.words]
    assert pieces[prompt.segments[0].specials[1]] == models.END


@pytest.mark.parametrize("word", ["Ball", "ball,", " ball "])
def test_words_are_found_without_case_and_punctuation(word: str) -> None:
    assert WINDOW.tokenize("a red ball, on grass").tokens_of(word, "reweight") == (3,)


def test_every_occurrence_and_phrases_are_found() -> None:
    prompt = WINDOW.tokenize("a red ball and a red box")
    assert prompt.tokens_of("red", "reweight") == (2, 6)
    assert prompt.tokens_of("red box", "reweight") == (6, 7)


@pytest.mark.parametrize("word", ["green", "", ",", "ball box"])
def test_unknown_word_is_an_error_that_lists_the_words(word: str) -> None:
    with pytest.raises(P2PError, match=r"word_taus: .* its words are a, red, ball$"):
        WINDOW.tokenize("a red ball").tokens_of(word, "word_taus")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Grass, sand.", ["Grass", ",", "sand", "."]),
        ("a well-known dog's ‘toy’", ["a", "well", "-", "known", "dog's", "‘", "toy", "’"]),
        ("the dogs' 1,000 toys", ["the", "dogs", "'", "1", ",", "000", "toys"]),
        ("a_b c2 3.5mm", ["a_b", "c2", "3", ".", "5mm"]),
        ("a 🙂👩🏽‍🚀, ☀️!", ["a", "🙂👩🏽‍🚀", ",", "☀️", "!"]),
        ("café हिन्दी", ["café", "हिन्दी"]),
        ("красный мяч", ["красный", "мяч"]),
        ("赤いボール on 草", ["赤", "い", "ボ", "ー", "ル", "on", "草"]),
        ("  \t\n", []),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    assert texts_of(text) == words


@given(st.text(max_size=30))
def test_words_cover_all_but_spaces(text: str) -> None:
    found = spans(text)
    covered = {k for start, stop in found for k in range(start, stop)}
    assert all(text[k].isspace() for k in set(range(len(text))) - covered)
    assert all(start < stop <= after for (start, stop), (after, _) in itertools.pairwise(found))


VOCABULARY = [
    "red",
    "Ball",
    "well-known",
    "dog's",
    "dog’s",
    "42",
    "мяч",
    "草",
    "🙂",
    "हिन्दी",
    "café",
    "hexagon",
]


@given(
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6), st.sampled_from([", ", " ", "! ", " - "])
)
def test_words_of_any_kind_are_found_with_all_their_tokens(words: list[str], between: str) -> None:
    prompt = ROOMY.tokenize(between.join(words))
    everything = {token for word in prompt.words for token in word.tokens}
    assert everything == set(range(1, end_of(prompt)))
    for word in words:
        found = prompt.occurrences(word.upper(), "only")
        folded = [other.casefold().replace("’", "'") for other in words]
        assert len(found) == folded.count(word.casefold().replace("’", "'"))
    assert set(prompt.tokens_of(" ".join(words), "only")) <= everything


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=8))
def test_a_prompt_is_itself_whatever_its_case_and_form(text: str) -> None:
    def words(form: str) -> list[str]:
        return [word.text for word in ROOMY.tokenize(form).words]

    assert words(text) == words(unicodedata.normalize("NFC", text))
    if text.isascii():
        assert words(text) == words(text.swapcase())


def test_punctuation_in_a_phrase_is_ignored_unless_it_is_alone() -> None:
    prompt = WINDOW.tokenize("a red-white ball!")
    assert prompt.tokens_of("red white", "only") == prompt.tokens_of("Red-White", "only") == (2, 3, 4)
    assert prompt.tokens_of("!", "only") == (6,)
