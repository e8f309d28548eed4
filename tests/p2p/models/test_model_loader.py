from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

import p2p


def copy(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to / "model"))


def refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a folder's model went to the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def error_of(model: str | Path, **settings: Any) -> str:
    with pytest.raises(p2p.ModelError) as caught:
        p2p.load(model, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_loads_without_the_network_and_without_a_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse_network(monkeypatch)
    editor = p2p.load(str(folder), device="cpu")
    assert editor.resolution == 16
    assert next(editor.family.denoiser.model.parameters()).dtype == torch.float32
    assert p2p.load_tokenizer(folder).limit == 20
    assert capfd.readouterr() == ("", "")


def test_dtype_is_what_was_asked_for(sd1_folder: Path) -> None:
    editor = p2p.load(sd1_folder, device="cpu", dtype="bfloat16")
    assert next(editor.family.denoiser.model.parameters()).dtype == torch.bfloat16
    sweep = editor.sweep("a red ball", "a blue ball in a box", steps=3, guidance_scale=2.0)
    assert sweep.edit_latents.isfinite().all()


def test_a_family_that_is_not_supported(sd1_folder: Path, tmp_path: Path) -> None:
    folder = copy(sd1_folder, tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": "KandinskyPipeline"}))
    assert "KandinskyPipeline is not supported; StableDiffusionPipeline, " in error_of(folder)
    with pytest.raises(p2p.ModelError, match="KandinskyPipeline"):
        p2p.load_tokenizer(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt"])
def test_pickled_weights_are_not_loaded(sd1_folder: Path, tmp_path: Path, part: str, suffix: str) -> None:
    folder = copy(sd1_folder, tmp_path)
    weights = next((folder / part).glob("*.safetensors"))
    weights.rename(weights.with_suffix(suffix))
    assert (
        error_of(folder)
        == f"{folder / part}: pickled weights are never loaded; save the model as safetensors"
    )


def test_missing_weights(sd1_folder: Path, tmp_path: Path) -> None:
    folder = copy(sd1_folder, tmp_path)
    next((folder / "unet").glob("*.safetensors")).unlink()
    assert error_of(folder) == f"{folder / 'unet'}: no weights; it needs a *.safetensors file"


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_damaged_weights(sd1_folder: Path, tmp_path: Path, part: str) -> None:
    folder = copy(sd1_folder, tmp_path)
    next((folder / part).glob("*.safetensors")).write_bytes(b"no weights")
    assert error_of(folder).startswith(f"{folder}: the model does not load: ")


def test_device_and_dtype_that_are_unknown(sd1_folder: Path) -> None:
    assert error_of(sd1_folder, device="gpu").startswith("device 'gpu' is unknown")
    assert error_of(sd1_folder, dtype="int7").startswith("dtype 'int7' is unknown; there are auto, float32")


def test_channels_last_is_a_matter_of_layout(sd1_folder: Path) -> None:
    plain, last = (p2p.load(sd1_folder, device="cpu", channels_last=on) for on in (False, True))

    def laid_out(editor: p2p.Editor) -> set[bool]:
        parts = (editor.family.network, editor.family.decoder.vae)
        wide = [w for part in parts for w in part.parameters() if w.dim() == 4 and min(w.shape[1:]) > 1]
        return {weight.is_contiguous(memory_format=torch.channels_last) for weight in wide}

    assert (laid_out(plain), laid_out(last)) == ({False}, {True})
    sweeps = [editor.sweep("a red ball", "a blue ball", steps=3) for editor in (plain, last)]
    assert torch.allclose(sweeps[0].edit_latents, sweeps[1].edit_latents, atol=1e-4)


def test_clip_s_window_has_one_length(sd1_folder: Path) -> None:
    assert error_of(sd1_folder, max_sequence_length=9).endswith(
        "max_sequence_length is for SD3 and FLUX; remove it"
    )
