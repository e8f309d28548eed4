from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from p2p.families.pipeline_loader import load_pipeline

UNSAFE = {"safety_checker": None, "requires_safety_checker": False}
CPU = torch.device("cpu")


def test_parts_have_the_precision_and_need_no_network(
    sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a folder's model went to the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for dtype in (torch.float32, torch.bfloat16):
        pipeline = load_pipeline(StableDiffusionPipeline, sd1_folder, CPU, dtype, **UNSAFE)
        assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {dtype}
        assert pipeline.feature_extractor is None


def test_pickled_weights_are_not_read(sd1_folder: Path, tmp_path: Path) -> None:
    for path in sd1_folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "unet").unlink()
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").symlink_to(sd1_folder / "unet" / "config.json")
    torch.save({}, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_pipeline(StableDiffusionPipeline, tmp_path, CPU, torch.float32, **UNSAFE)
