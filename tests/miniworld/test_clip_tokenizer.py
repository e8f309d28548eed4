from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, CLIPTokenizer

import miniworld
from miniworld.clip_tokenizer import TOKENS, build_tokenizer


def test_some_words_are_one_token_and_some_are_several() -> None:
    tokenizer = build_tokenizer()
    for word in ("ball", "house", "mosaic", "orange"):
        assert len(tokenizer.tokenize(word)) == 1, word
    assert len(tokenizer.tokenize("sunset")) == 2
    assert len(tokenizer.tokenize("purple")) > 1


def test_the_end_token_is_the_highest_id_and_pads() -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer("a Red ball!", padding="max_length").input_ids
    assert len(ids) == TOKENS
    assert ids.count(tokenizer.eos_token_id) == TOKENS - 5
    assert max(ids) == len(tokenizer) - 1 == tokenizer.eos_token_id == tokenizer.pad_token_id


def test_the_tokenizer_can_be_loaded_as_clip_s_class(tmp_path: Path) -> None:
    built = build_tokenizer()
    built.save_pretrained(tmp_path)
    for loaded in (AutoTokenizer.from_pretrained(tmp_path), CLIPTokenizer.from_pretrained(tmp_path)):
        assert isinstance(loaded, CLIPTokenizer)
        assert loaded("a purple house at sunset").input_ids == built("a purple house at sunset").input_ids


def test_the_tokenizer_is_always_the_same_and_is_shipped() -> None:
    built = [build_tokenizer().get_vocab() for _ in range(5)]
    shipped = [
        CLIPTokenizer.from_pretrained(miniworld.MODEL / "tokenizer"),
        CLIPTokenizer.from_pretrained(miniworld.CLIP),
    ]
    assert all(
        vocabulary == built[0] for vocabulary in [*built, *(tokenizer.get_vocab() for tokenizer in shipped)]
    )
