from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image, ImageFilter

import p2p
import p2p.samplers
from filters.measure import Bounds, outside
from stages.captions import CaptionSource, open_captions
from stages.records import CaptionPair
from tests.docs.snippets import snippet


def run(name: str) -> dict[str, Any]:
    # Dataclasses look their annotations up by the module's name.
    names: dict[str, Any] = {"__name__": "p2p.samplers"}
    exec(compile(snippet("extending.md", name), name, "exec"), names)
    return names


def test_captions_of_a_script_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run("captions")
    pairs = list(open_captions(CaptionSource("auto", "pairs.jsonl")))
    assert len(pairs) == 6
    assert all(
        isinstance(pair, CaptionPair) and json.loads(pair.meta) == {"kind": "colour"} for pair in pairs
    )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_sampler_steps_as_diffusers_does_with_eta_1(prediction: str):
    theirs = DDIMScheduler(clip_sample=False, steps_offset=1, prediction_type=prediction)
    theirs.set_timesteps(7)
    ours = run("sampler")["ddpm"](theirs.config, 7, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    x, output, noise = torch.randn(3, 1, 4, 8, 8, generator=generator)
    for i, t in enumerate(theirs.timesteps):
        wanted = theirs.step(output, t, x, eta=1.0, variance_noise=noise).prev_sample
        found = ours.step(ours.start(x), output, torch.tensor([i]), noise).x
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_sampler_runs_a_sweep_and_the_noise_is_shared(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch):
    made = run("sampler")["ddpm"]
    for table in (p2p.samplers._FOR_DIFFUSION, p2p.samplers.SAMPLERS):
        monkeypatch.setitem(table, "ddpm", made)
    editor = p2p.load(sd1_folder, device="cpu")
    ask = {"seed": 3, "steps": 4, "sampler": "ddpm"}
    sweep = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(0.2, 1.0), **ask)
    alone = editor.sweep("a red ball on grass", "a blue ball on grass", taus=(1.0,), **ask)
    assert abs(sweep.edits[1].astype(int) - alone.edits[0].astype(int)).max() <= 1
    assert (sweep.edits[0] != sweep.edits[1]).any()


def test_the_filter_tells_a_blurred_edit_from_a_sharp_one():
    measure = run("filter")["Sharpness"]()
    sharp = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(1)))
    scores = measure.score([sharp, sharp, blurred], [sharp, blurred, sharp])
    assert scores.dtype == np.float32
    assert scores[0] == pytest.approx(1)
    assert scores[1] < 0.5
    assert scores[2] > 2
    assert outside({"sharpness": scores}, {"sharpness": Bounds(least=0.5)}, 3) == ["", "sharpness", ""]
