from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

import p2p
from p2p.families import flux, sd, sd3, sdxl
from p2p.models.model_loader import _default_dtype


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


@pytest.mark.parametrize(
    ("device", "has_bf16", "dtype"),
    [("cuda", True, torch.bfloat16), ("cuda", False, torch.float16), ("cpu", True, torch.float32)],
)
def test_half_precision_is_that_of_the_card(
    device: str, has_bf16: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    for family in (sd, sdxl, sd3, flux):
        assert _default_dtype(torch.device(device), family.HALF) == dtype


def test_a_model_that_does_not_fit_is_not_read(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A faked GPU with a gibibyte free: nothing is loaded to it."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**30, 2**30))
    with pytest.raises(
        p2p.ModelError, match=r"the model needs 2\.0 GiB of memory .* the GPU has 1\.0 GiB free"
    ):
        p2p.load(sd1_folder, device="cuda")


def test_an_option_that_a_plugin_does_not_take_is_named(
    sd1_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bare_family.py").write_text(
        "from p2p.families.sd import HALF\nfrom p2p.text.token_windows import clip_window as window\n"
        "def load(folder, device, dtype):\n    raise AssertionError\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(p2p.ModelError, match="its family does not take offload; remove it"):
        p2p.load(sd1_folder, device="cpu", family="bare_family", offload=True)
