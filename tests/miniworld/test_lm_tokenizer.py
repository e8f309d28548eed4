from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from miniworld.edits import random_edit
from miniworld.lm_tokenizer import END, build_tokenizer

TOKENIZER = build_tokenizer()


@given(st.text())
def test_any_text_can_be_decoded(text: str) -> None:
    assert (
        TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False, split_special_tokens=True).input_ids)
        == text
    )


@given(st.integers(0, 2**32 - 1))
def test_every_word_of_the_world_is_one_token(seed: int) -> None:
    for text in list(random_edit(np.random.default_rng(seed), held_out=None).as_line().values())[:3]:
        words = text.rstrip("?").split()
        assert len(TOKENIZER(text.rstrip("?")).input_ids) == len(words), TOKENIZER.tokenize(text)


def test_the_end_token_ends_and_pads_on_the_left() -> None:
    ids = TOKENIZER([f"a ball{END}", "a red ball"], padding=True).input_ids
    assert ids[0][-1] == TOKENIZER.eos_token_id == TOKENIZER.pad_token_id
    assert len(TOKENIZER(["a ball", "a red ball on grass"], padding=True).input_ids[0]) == 5
    assert (
        TOKENIZER(["a ball", "a red ball on grass"], padding=True).input_ids[0][:3]
        == [TOKENIZER.pad_token_id] * 3
    )


def test_the_tokenizer_can_be_saved_and_is_always_the_same(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "a purple house at sunset\n##\nmake it stormy"
    assert loaded(text).input_ids == TOKENIZER(text).input_ids
    assert loaded.padding_side == "left"
    assert loaded.get_vocab() == build_tokenizer().get_vocab()
