from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from miniworld.train.loop import Recipe
from miniworld.train.writer import ROWS, TOKENS, batch, build, export_writer, train_writer
from miniworld.words import build_tokenizer


def test_it_has_about_two_million_weights() -> None:
    assert 1.5e6 < sum(parameter.numel() for parameter in build().parameters()) < 2.3e6


def test_a_step_draws_the_same_batch_whenever_it_is_asked() -> None:
    tokenizer = build_tokenizer()
    first = batch(tokenizer, 3, False)
    assert first.shape == (ROWS, TOKENS)
    assert torch.equal(first, batch(tokenizer, 3, False))
    assert not torch.equal(first, batch(tokenizer, 4, False))
    assert not torch.equal(first, batch(tokenizer, 3, True))


def test_it_learns_and_is_exported_as_anybodys_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ids = batch(build_tokenizer(), 10**6, True)
    untrained = build()
    before = untrained(input_ids=ids, labels=ids).loss.item()
    trained = train_writer(tmp_path, *[Recipe(steps=8, learning_rate=3e-3, warmup=3, average=0.5)] * 2)
    export_writer(trained, tmp_path / "writer")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "writer", dtype=torch.float32)
    assert loaded(input_ids=ids, labels=ids).loss.item() < before - 1
    assert AutoTokenizer.from_pretrained(tmp_path / "writer").eos_token_id == loaded.config.eos_token_id
    assert not list((tmp_path / "writer").glob("*.bin"))
