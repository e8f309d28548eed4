from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.gpu_utilisation import SHAPES
from benchmarks.speed.random_models import random_clip, save_sd15, save_sdxl, sd15_unet, sdxl_unet


@pytest.mark.parametrize(
    ("name", "parameters"), [("sd15", 859_520_964), ("sdxl", 2_567_463_684)], ids=["sd15", "sdxl"]
)
def test_shapes_have_published_parameters_and_flops(name: str, parameters: int):
    shape = SHAPES[name]
    with torch.device("meta"):
        unet = {"sd15": sd15_unet, "sdxl": sdxl_unet}[name](shape.resolution)
        assert sum(weight.numel() for weight in unet.parameters()) == parameters
        side, width = shape.resolution // 8, unet.config.cross_attention_dim
        added = (
            {"text_embeds": torch.empty(1, 1280), "time_ids": torch.empty(1, 6)} if name == "sdxl" else None
        )
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            unet(torch.empty(1, 4, side, side), 1, torch.empty(1, 77, width), added_cond_kwargs=added)
    assert counter.get_total_flops() / 1e12 == pytest.approx(shape.tflop, rel=0.02)


def test_random_clip_encodes_unit_features():
    clip = random_clip("ViT-S-32-alt", "cpu")
    features = clip.encode_captions(["a red ball", "a blue ball"])
    assert features.shape == (2, 256)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("save", [save_sd15, save_sdxl])
def test_an_existing_folder_is_kept(save: Callable[[Path, int], Path], tmp_path: Path):
    index = tmp_path / "model_index.json"
    index.write_text("{}")
    assert save(tmp_path, 512) == tmp_path
    assert list(tmp_path.iterdir()) == [index]
    assert index.read_text() == "{}"
