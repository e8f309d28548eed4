from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.errors import P2PError
from p2p.families.tokenizing import PromptWindow
from p2p.words import TokenizedPrompt
from tests import models

WINDOW = PromptWindow(models.clip_tokenizer(), models.TOKENS)


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
    assert pieces[prompt.end] == models.END


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=6))
def test_every_token_belongs_to_one_word_whatever_the_text(text: str) -> None:
    window = PromptWindow(WINDOW.tokenizer, 64)
    prompt = window.tokenize(text)
    assert sorted(token for word in prompt.words for token in word.tokens) == list(range(1, prompt.end))
    assert prompt.end + 1 == window.count(text)


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


def test_prompt_over_the_window_is_an_error_with_both_numbers() -> None:
    with pytest.raises(P2PError, match="has 21 tokens, the model takes 20"):
        WINDOW.tokenize("a " * 19)
    assert WINDOW.tokenize("a " * 18).end == 19
    with pytest.raises(P2PError, match="21 tokens"):
        WINDOW.ids("a " * 19)


def test_empty_prompt_has_no_words() -> None:
    assert WINDOW.tokenize("") == TokenizedPrompt("", (), 1, models.TOKENS)
