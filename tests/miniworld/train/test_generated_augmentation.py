from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

import miniworld
from miniworld.train.generated_augmentation import repaint
from miniworld.train.scene_groups import load_groups


@pytest.fixture(scope="module")
def parts() -> tuple[AutoencoderKL, CLIPTextModel, UNet2DConditionModel]:
    def part(kind: type, name: str) -> torch.nn.Module:
        return kind.from_pretrained(miniworld.MODEL, subfolder=name, dtype=torch.float32)

    return part(AutoencoderKL, "vae"), part(CLIPTextModel, "text_encoder"), part(UNet2DConditionModel, "unet")


def test_the_generator_paints_what_was_drawn(
    parts: tuple[AutoencoderKL, CLIPTextModel, UNet2DConditionModel], tmp_path: Path
) -> None:
    images = load_groups(tmp_path, 1, 4)
    painted = repaint(*parts, images, 1, tmp_path, 10)
    assert (painted.dtype, painted.shape) == (np.uint8, (10, 64, 64, 3))
    error = np.abs(painted.astype(float)[:, None] - images.astype(float)[None, :10]).mean((2, 3, 4))
    assert error.argmin(1).tolist() == list(range(10))  # closer to its own drawing than to any other
    assert error.diagonal().min() > 0.5  # and not the drawing itself


def test_scenes_are_repainted_once(
    parts: tuple[AutoencoderKL, CLIPTextModel, UNet2DConditionModel],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = load_groups(tmp_path, 1, 1)
    first = np.array(repaint(*parts, images, 1, tmp_path, 3))
    assert "repaint: 3/3" in capsys.readouterr().out
    assert np.array_equal(repaint(*parts, images, 1, tmp_path, 3), first)
    assert capsys.readouterr().out == ""
