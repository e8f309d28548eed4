from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

import p2p


def test_a_prompt_is_encoded_once(sd1_folder: Path) -> None:
    """Six pairs of four prompts and the empty one, twice."""
    editor, encoded = p2p.load(sd1_folder, device="cpu"), []
    editor.family.text_encoder.register_forward_hook(lambda *_: encoded.append(1))
    prompts = ["a red ball", "a blue ball", "a red ball on grass", "a cat"]
    requests = [
        p2p.SweepRequest(source, target, (0.5,), steps=1)
        for source, target in itertools.combinations(prompts, 2)
    ]
    for _ in range(2):
        editor.sweep_many(requests)
    assert len(encoded) == 5


def test_prompts_that_are_remembered_are_bounded(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.families.prompt_encoder.PROMPTS_CACHED", 2)
    family, encoded = p2p.load(sd1_folder, device="cpu").family, []
    family.text_encoder.register_forward_hook(lambda *_: encoded.append(1))
    with torch.inference_mode():
        for prompt in ("a cat", "a dog", "a cat", "a ball", "a cat", "a dog"):
            family.encode(prompt)
    assert len(encoded) == 4, "the one that was used longest ago is forgotten"


def test_prompts_of_a_family_are_those_of_its_tokenizer(sd1_editor: p2p.Editor, sd1_folder: Path) -> None:
    family, window = sd1_editor.family, p2p.load_tokenizer(sd1_folder)
    assert family.window == window.limit
    assert family.tokenize("a red ball " * 9, cut=True) == window.tokenize("a red ball " * 9, cut=True)
    assert family.tokenize("a red hexagon") == window.tokenize("a red hexagon")
    assert torch.equal(family.unconditional()[0], family.encode("")[0])
