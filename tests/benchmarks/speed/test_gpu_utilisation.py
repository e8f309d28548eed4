"""The functions of the GPU benchmark, on the CPU with small models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import filters
import p2p
from benchmarks.speed import gpu_utilisation
from benchmarks.speed.gpu_utilisation import requests
from benchmarks.speed.random_models import random_clip, sd15_unet, sdxl_unet
from benchmarks.speed.sweep_speed import MAPS, OURS, Timing, measure, table
from tests import clips, models


@pytest.fixture(scope="module")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_stable_diffusion_xl(tmp_path_factory.mktemp("models") / "sdxl")


@pytest.mark.parametrize(
    ("name", "parameters"), [("sd15", 859_520_964), ("sdxl", 2_567_463_684)], ids=["sd15", "sdxl"]
)
def test_shapes_have_published_parameters_and_flops(name: str, parameters: int):
    shape = gpu_utilisation.SHAPES[name]
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


def test_sweep_cost_and_profile(sdxl_folder: Path, tmp_path: Path):
    editor = p2p.load(sdxl_folder, device="cpu")
    clip = filters.load_clip(f"local-dir:{clips.build_clip(tmp_path / 'clip')}", device="cpu")
    sweep_requests = requests(pairs=2, edits=2, steps=3)
    peak = gpu_utilisation.dense_peak("cpu", torch.float32, size=64, repeats=2)
    assert peak > 0
    editor.pad = True
    measured = gpu_utilisation.measure(editor, clip, sweep_requests, batch_rows=16, tflop=1e-6, peak=peak)
    assert measured.rows == sum(sweep.rows for sweep in editor.sweep_many(sweep_requests))
    assert 0 < measured.denoising + measured.scoring < measured.seconds
    assert (measured.rows + measured.padding) % 16 == 0
    assert measured.achieved < measured.denoiser
    profile = gpu_utilisation.profile_operations(editor, clip, sweep_requests, 16, "cpu")
    assert "aten::" in profile
    assert "Self CPU" in profile
    timing = Timing(OURS, 2, 3, measured.rows, 1.0, 5.0)
    text = gpu_utilisation.section("a device", {"sdxl": measured}, {"sdxl": [timing]}, "float32")
    lines = [line for line in text.splitlines() if line.startswith("| sdxl")]
    assert [line.count("|") - 1 for line in lines] == [len(gpu_utilisation.COLUMNS), 7]


@torch.inference_mode()
def test_reference_sweeps_edit_sdxl_as_ours(sdxl_folder: Path):
    """``measure`` compares our edits with those of materialised maps."""
    timings = list(measure(sdxl_folder, 2, 3, 1.0, 1, "cpu", torch.float32))
    assert [timing.method for timing in timings] == [OURS, "InstructPix2Pix", MAPS, "plain generation"]
    assert [timing.rows for timing in timings[1:]] == [2 * 4 * 3, 2 * 3 * 3, 2 * 3 * 3]
    assert len(table(timings).splitlines()) == 2 + 4


def test_random_clip_encodes_unit_features():
    clip = random_clip("ViT-S-32-alt", "cpu")
    features = clip.encode_captions(["a red ball", "a blue ball"])
    assert features.shape == (2, 256)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures for minutes where there is a GPU")
def test_one_error_line_without_cuda(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu_utilisation.main() == 2
    assert capsys.readouterr().err.count("\n") == 1
