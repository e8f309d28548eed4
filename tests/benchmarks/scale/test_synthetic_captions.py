from __future__ import annotations

import json
from pathlib import Path

from benchmarks.scale.synthetic_captions import WORDS, write_captions
from miniworld.clip_tokenizer import build_tokenizer


def test_captions_differ_and_continue(tmp_path: Path):
    whole = write_captions(tmp_path / "whole.jsonl", 3000).read_text()
    parts = [write_captions(tmp_path / f"{first}.jsonl", 1500, first).read_text() for first in (0, 1500)]
    assert whole == "".join(parts)
    pairs = [json.loads(line) for line in whole.splitlines()]
    assert len({(pair["input"], pair["output"]) for pair in pairs}) == 3000
    assert all(pair["input"] != pair["output"] for pair in pairs)


def test_captions_fit_the_mini_worlds_window(tmp_path: Path):
    tokenizer = build_tokenizer()
    assert [tokenizer.tokenize(word) for word in WORDS] == [[f"{word}</w>"] for word in WORDS]
    pairs = map(
        json.loads, write_captions(tmp_path / "c.jsonl", 100, first=123_456_789).read_text().splitlines()
    )
    for pair in pairs:
        words = tokenizer.tokenize(pair["input"])
        assert len(words) + 2 <= tokenizer.model_max_length
        assert pair["input"].count("red") == pair["output"].count("blue") - pair["input"].count("blue")
