"""The shipped weights: they load as anybody's do, and they are good."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTokenizer

import miniworld
from miniworld.drawing.draw import draw
from miniworld.evaluate import (
    SmallClip,
    draw_unseen_scenes,
    measure_layout_preference,
    measure_picking,
    measure_vae_psnr,
)
from miniworld.scene import random_layout

WEIGHTS = miniworld.MODEL.parent


def test_the_weights_are_safetensors_and_small() -> None:
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json"}
    assert sum(path.stat().st_size for path in files) < 25e6


def test_the_model_loads_with_the_plain_pipeline() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(miniworld.MODEL, dtype=torch.float32)
    assert isinstance(pipeline.tokenizer, CLIPTokenizer)
    index = json.loads((miniworld.MODEL / "model_index.json").read_text())
    assert index["tokenizer"] == ["transformers", "CLIPTokenizer"]
    generator = torch.Generator().manual_seed(0)
    night, day = (
        pipeline(
            f"a photo of a red ball on grass {time}", num_inference_steps=8, guidance_scale=5.0,
            generator=generator.manual_seed(0), output_type="np",
        ).images[0]
        for time in ("at night", "by day")
    )  # fmt: skip
    assert night[:16].mean() < 0.5 < day[:16].mean()


def test_the_vae_reconstructs_drawings() -> None:
    assert measure_vae_psnr(miniworld.MODEL, groups=8) >= 26


@pytest.fixture(scope="module")
def clip() -> SmallClip:
    return SmallClip(miniworld.CLIP)


def test_clip_sees_the_layout(clip: SmallClip) -> None:
    assert measure_layout_preference(clip, groups=64) >= 0.95


def test_clip_reads_unseen_scenes(clip: SmallClip) -> None:
    rng = np.random.default_rng(0)
    scenes = draw_unseen_scenes(100, held_out=False)
    found = measure_picking(clip, scenes, [draw(scene, random_layout(rng)) for scene in scenes])
    assert found.of_16 >= 0.8
    assert min(found.by_attribute[attribute] for attribute in ("style", "ground", "sky")) >= 0.95
