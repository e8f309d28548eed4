from __future__ import annotations

import itertools
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from miniworld.lm_tokenizer import build_tokenizer
from miniworld.train.language_model import (
    IGNORED,
    SEQUENCES,
    TOKENS,
    build,
    export_writer,
    make_batch,
    train_writer,
)
from miniworld.train.loop import Recipe


def test_the_model_has_about_two_million_weights() -> None:
    assert 1.5e6 < sum(parameter.numel() for parameter in build().parameters()) < 2.3e6


def test_a_step_always_has_the_same_batch() -> None:
    tokenizer = build_tokenizer()
    first, labels = make_batch(tokenizer, 3)
    assert first.shape == labels.shape == (SEQUENCES, TOKENS)
    assert torch.equal(first, make_batch(tokenizer, 3)[0])
    assert torch.equal(labels, make_batch(tokenizer, 3)[1])
    assert not torch.equal(first, make_batch(tokenizer, 4)[0])


def test_only_random_lines_are_not_learned() -> None:
    tokenizer = build_tokenizer()
    ids, labels = make_batch(tokenizer, 0)
    learnt = labels != IGNORED
    assert torch.equal(ids[learnt], labels[learnt])
    assert 0.5 < learnt.float().mean() < 0.95
    for row, mask in zip(ids.tolist(), learnt.tolist(), strict=True):
        ends = [place for place, token in enumerate(row) if token == tokenizer.eos_token_id]
        for start, end in itertools.pairwise([-1, *ends]):
            lines = tokenizer.decode(row[start + 1 : end]).split("\n")
            first, last = (len(tokenizer(lines[which]).input_ids) for which in (0, -1))
            assert all(mask[end - last : end + 1])
            if not mask[start + 1]:  # in cipher
                assert not any(mask[start + 1 : start + 1 + first])
            else:
                assert all(mask[start + 1 : end + 1])


def test_training_lowers_the_loss_and_exports_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ids, _ = make_batch(build_tokenizer(), 10**6)
    untrained = build()
    before = untrained(input_ids=ids, labels=ids).loss.item()
    trained = train_writer(tmp_path, Recipe(steps=16, learning_rate=3e-3, warmup=3, average=0.5))
    export_writer(trained, tmp_path / "writer")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "writer", dtype=torch.float32)
    assert loaded(input_ids=ids, labels=ids).loss.item() < before - 1
    assert AutoTokenizer.from_pretrained(tmp_path / "writer").eos_token_id == loaded.config.eos_token_id
    assert not list((tmp_path / "writer").glob("*.bin"))
