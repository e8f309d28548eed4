from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.gpu_utilisation import SHAPES
from benchmarks.speed.random_models import (
    flux_transformer,
    random_clip,
    save_flux,
    save_sd15,
    save_sd35,
    save_sdxl,
    sd15_unet,
    sd35_transformer,
    sdxl_unet,
)


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


@pytest.mark.parametrize(
    ("name", "parameters"), [("sd35", 2_243_171_520), ("flux", 11_901_408_320)], ids=["sd35", "flux"]
)
def test_transformers_have_published_parameters_and_flops(name: str, parameters: int):
    """A row has 333 tokens of text in SD 3.5 (77 and T5's 256), 512 in FLUX, and 64 × 64 of the image."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        if name == "sd35":
            network = sd35_transformer(1024)
            network(
                hidden_states=torch.empty(1, 16, 128, 128),
                timestep=torch.empty(1),
                encoder_hidden_states=torch.empty(1, 333, 4096),
                pooled_projections=torch.empty(1, 2048),
            )
        else:
            network = flux_transformer()
            network(
                hidden_states=torch.empty(1, 4096, 64),
                timestep=torch.empty(1),
                guidance=torch.empty(1),
                encoder_hidden_states=torch.empty(1, 512, 4096),
                pooled_projections=torch.empty(1, 768),
                txt_ids=torch.empty(512, 3),
                img_ids=torch.empty(4096, 3),
            )
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    assert counter.get_total_flops() / 1e12 == pytest.approx(SHAPES[name].tflop, rel=0.02)


def test_random_clip_encodes_unit_features():
    clip = random_clip("ViT-S-32-alt", "cpu")
    features = clip.encode_captions(["a red ball", "a blue ball"])
    assert features.shape == (2, 256)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("save", [save_sd15, save_sdxl, save_sd35, save_flux])
def test_an_existing_folder_is_kept(save: Callable[[Path, int], Path], tmp_path: Path):
    index = tmp_path / "model_index.json"
    index.write_text("{}")
    assert save(tmp_path, 512) == tmp_path
    assert list(tmp_path.iterdir()) == [index]
    assert index.read_text() == "{}"
