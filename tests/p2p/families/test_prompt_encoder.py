from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

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


def test_offloaded_encoders_come_for_prompts_and_leave(
    sd1_folder: Path, sd1_editor: p2p.Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come once for all new prompts of a call, and stay away for prompts that are cached."""
    editor = p2p.load(sd1_folder, device="cpu", offload=True)
    moves: list[str] = []
    move = torch.nn.Module.to

    def recorded(module: torch.nn.Module, *where: Any, **how: Any) -> torch.nn.Module:
        moves.append(type(module).__name__)
        return move(module, *where, **how)

    monkeypatch.setattr(torch.nn.Module, "to", recorded)
    request = p2p.SweepRequest("a red ball on grass", "a blue box on grass", (0.5,), steps=2)
    (sweep,) = editor.sweep_many([request])
    assert moves == ["CLIPTextModel", "CLIPTextModel", "UNet2DConditionModel"]
    editor.sweep_many([request])
    assert len(moves) == 3
    (expected,) = sd1_editor.sweep_many([request])
    assert torch.equal(sweep.edit_latents, expected.edit_latents)


def test_short_memory_sends_the_denoiser_away_meanwhile(
    sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A faked GPU with no room for both; moves are recorded and not made."""
    family = p2p.load(sd1_folder, device="cpu", offload=True).family
    moves: list[tuple[str, str]] = []
    monkeypatch.setattr(
        torch.nn.Module, "to", lambda module, where: moves.append((type(module).__name__, str(where)))
    )
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(family, "_encode", lambda prompt, cut: ())
    monkeypatch.setattr(family, "device", torch.device("cuda"))
    family._encode_on_device("a cat", False)
    family.release_encoders()
    text, unet = "CLIPTextModel", "UNet2DConditionModel"
    assert moves == [(unet, "cpu"), (text, "cuda"), (text, "cpu"), (unet, "cuda")]
