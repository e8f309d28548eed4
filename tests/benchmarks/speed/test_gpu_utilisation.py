"""The functions of the GPU benchmark, on the CPU with small models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import filters
import p2p
from benchmarks.speed import gpu_utilisation
from benchmarks.speed.gpu_utilisation import requests
from benchmarks.speed.sweep_speed import OURS, Timing
from tests import clips, models


@pytest.fixture(scope="module")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_stable_diffusion_xl(tmp_path_factory.mktemp("models") / "sdxl")


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
    plain = gpu_utilisation.plain_generation(sdxl_folder, "cpu", torch.float32, 2, 2, "none")
    assert plain.seconds > 0
    timing = Timing(OURS, 2, 3, measured.rows, 1.0, 5.0)
    text = gpu_utilisation.section(
        "a device", {"sdxl": measured}, {"sdxl": [plain]}, {"sdxl": [timing]}, "float32"
    )
    lines = [line for line in text.splitlines() if line.startswith("| sdxl")]
    assert [line.count("|") - 1 for line in lines] == [len(gpu_utilisation.COLUMNS), 5, 7]


@pytest.mark.parametrize("save", [models.save_stable_diffusion_3, models.save_flux], ids=["sd3", "flux"])
def test_transformers_are_measured_like_unets(save: Callable[[Path], Path], tmp_path: Path):
    folder = save(tmp_path / "model")
    clip = filters.load_clip(f"local-dir:{clips.build_clip(tmp_path / 'clip')}", device="cpu")
    sweep_requests = requests(pairs=1, edits=2, steps=2, sampler="flow_match_euler")
    editor = p2p.load(folder, device="cpu")
    measured = gpu_utilisation.measure(editor, clip, sweep_requests, batch_rows=8, tflop=1e-6, peak=1.0)
    assert (measured.sweeps, measured.images) == (1, 3)
    assert measured.rows > 0 == measured.padding


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures for minutes where there is a GPU")
def test_one_error_line_without_cuda(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu_utilisation.main() == 2
    assert capsys.readouterr().err.count("\n") == 1
