"""Prompt windows against the tokenizers themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from p2p.errors import P2PError
from p2p.text.token_windows import (
    FLUX_T5_TOKENS,
    PromptWindow,
    clip_window,
    load_t5,
    load_window,
    t5_window,
    tokenize,
)
from p2p.text.words import Segment, TokenizedPrompt
from tests import models

CLIP = models.clip_tokenizer()
T5 = models.t5_tokenizer()
WINDOW = PromptWindow(CLIP, models.TOKENS)
T5_WINDOW = PromptWindow(T5, models.T5_TOKENS)
WORDS = st.lists(
    st.sampled_from(["a", "red", "Ball", "hexagon,", "umbrella", "grass.", "zebra!", "dog's"]), max_size=5
)


def end_of(prompt: TokenizedPrompt) -> int:
    return prompt.segments[0].specials[-1]


@pytest.mark.parametrize("window", [WINDOW, T5_WINDOW], ids=["CLIP", "T5"])
@given(words=WORDS)
def test_tokens_of_words_are_those_of_the_tokenizer(window: PromptWindow, words: list[str]) -> None:
    """The tokens of each word, put together, spell it."""
    text = " ".join(words).lower()  # the small T5 has no capitals
    ids = window.tokenizer(text).input_ids
    assert window.count(text) == len(ids)
    prompt = PromptWindow(window.tokenizer, 100).tokenize(text)
    pieces = window.tokenizer.convert_ids_to_tokens(ids)
    for word in prompt.words:
        spelt = "".join(pieces[token] for token in word.tokens).replace("</w>", "").replace("▁", "")
        assert spelt == word.text
    special = [k for k, token in enumerate(ids) if token in window.tokenizer.all_special_ids]
    assert prompt.segments == (Segment(range(100), tuple(special)),)
    assert {token for word in prompt.words for token in word.tokens} == set(range(len(ids))) - set(special)


@given(WORDS)
def test_a_second_window_comes_after_the_first(words: list[str]) -> None:
    text = " ".join(words)
    clip, t5 = (PromptWindow(window.tokenizer, 60) for window in (WINDOW, T5_WINDOW))
    both, first, second = tokenize(text, (clip, t5), unfilled=5), clip.tokenize(text), t5.tokenize(text)
    assert both.window == 125
    assert [segment.positions for segment in both.segments] == [range(60), range(60, 120), range(120, 125)]
    assert both.segments[1].specials == tuple(60 + special for special in second.segments[0].specials)
    assert both.segments[2].padding == range(120, 125)
    for word, in_first, in_second in zip(both.words, first.words, second.words, strict=True):
        assert word.text == in_first.text == in_second.text
        assert word.tokens == (*in_first.tokens, *(60 + token for token in in_second.tokens))


@given(WORDS)
def test_ids_are_the_tokenizer_s_padded_to_the_limit(words: list[str]) -> None:
    text = " ".join(words)
    roomy = PromptWindow(CLIP, 40)
    encoded = roomy.ids(text)
    ids = CLIP(text).input_ids
    assert encoded.input_ids.shape == (1, 40)
    assert encoded.input_ids.dtype == torch.int64
    assert encoded.input_ids[0].tolist() == ids + [CLIP.pad_token_id] * (40 - len(ids))
    assert encoded.attention_mask[0].sum() == len(ids)


def test_ids_may_be_cut() -> None:
    text = "a " * 30
    cut = WINDOW.ids(text, cut=True).input_ids[0].tolist()
    assert cut == [*CLIP(text).input_ids[: models.TOKENS - 1], CLIP.eos_token_id]
    with pytest.raises(P2PError, match="has 32 tokens, the model takes 20"):
        WINDOW.ids(text)


def test_every_window_keeps_what_fits_into_it() -> None:
    text = "a red ball on grass with an umbrella"
    both = tokenize(text, (WINDOW, PromptWindow(T5, 6)), cut=True)
    tokens = {word.text: word.tokens for word in both.words}
    assert tokens["grass"] == (5, models.TOKENS + 4)
    assert tokens["umbrella"] == WINDOW.tokenize(text).words[-1].tokens, "none in the smaller window"


def test_limits_are_the_smaller_of_tokenizer_and_encoder(tmp_path: Path) -> None:
    for window in (60, 7):
        CLIP.save_pretrained(tmp_path / "tokenizer")
        (tmp_path / "text_encoder").mkdir(exist_ok=True)
        (tmp_path / "text_encoder" / "config.json").write_text(
            json.dumps({"max_position_embeddings": window})
        )
        for loaded in (clip_window(tmp_path), load_window(tmp_path, "tokenizer", "text_encoder")):
            assert loaded.limit == min(window, models.TOKENS)
            assert not loaded.spaces
            assert loaded.count("a red hexagon") == WINDOW.count("a red hexagon")
    T5.save_pretrained(tmp_path / "tokenizer_2")
    assert t5_window(tmp_path).limit == min(FLUX_T5_TOKENS, models.T5_TOKENS)
    assert load_t5(tmp_path, "tokenizer_2", 9).limit == 9
    assert load_t5(tmp_path, "tokenizer_2", 9).spaces


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=6))
def test_every_token_belongs_to_one_word_whatever_the_text(text: str) -> None:
    window = PromptWindow(WINDOW.tokenizer, 64)
    prompt = window.tokenize(text)
    assert sorted(token for word in prompt.words for token in word.tokens) == list(range(1, end_of(prompt)))
    assert end_of(prompt) + 1 == window.count(text)


def test_prompt_over_the_window_is_an_error_with_both_numbers() -> None:
    with pytest.raises(P2PError, match="has 21 tokens, the model takes 20"):
        WINDOW.tokenize("a " * 19)
    assert end_of(WINDOW.tokenize("a " * 18)) == 19
    with pytest.raises(P2PError, match="21 tokens"):
        WINDOW.ids("a " * 19)


def test_empty_prompt_has_no_words() -> None:
    assert WINDOW.tokenize("") == TokenizedPrompt("", (), (Segment(range(models.TOKENS), (0, 1)),))


@pytest.mark.parametrize("window", [WINDOW, T5_WINDOW], ids=["CLIP", "T5"])
@pytest.mark.parametrize("text", ["a " * 30, "a red hexagon, " * 9, "umbrella" * 2 + " red" * 30, "zq" * 30])
def test_tokens_that_do_not_fit_are_dropped(window: PromptWindow, text: str) -> None:
    """The end token stays; the tokens and the words are otherwise those of the whole text."""
    whole, cut = PromptWindow(window.tokenizer, 300).tokenize(text), window.tokenize(text, cut=True)
    assert (cut.window, end_of(cut)) == (window.limit, window.limit - 1)
    kept = [[token for token in word.tokens if token < window.limit - 1] for word in whole.words]
    assert [list(word.tokens) for word in cut.words] == [tokens for tokens in kept if tokens]
    ids = window.ids(text, cut=True).input_ids[0].tolist()
    assert ids[:-1] == window.tokenizer(text).input_ids[: window.limit - 1]
    assert ids[-1] == window.tokenizer.eos_token_id
    assert window.tokenize("a red ball", cut=True) == window.tokenize("a red ball")
