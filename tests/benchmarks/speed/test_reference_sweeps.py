from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline

import p2p
from benchmarks.speed.reference_sweeps import MaterialisedAttention, Task, instructpix2pix, one_batch, plain

TASK = Task("a red ball on grass", "a blue ball on grass", (0.0, 0.5, 1.0), 4, 3.0, 7)


@pytest.fixture(scope="module")
def pipeline(sd1_folder: Path) -> DiffusionPipeline:
    loaded = DiffusionPipeline.from_pretrained(sd1_folder)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@torch.inference_mode()
def test_maps_alone_change_nothing(pipeline: DiffusionPipeline):
    torch.manual_seed(0)
    inputs = torch.randn(2, 4, 8, 8), 500, torch.randn(2, 77, pipeline.unet.config.cross_attention_dim)
    wanted = pipeline.unet(*inputs).sample
    usual = pipeline.unet.attn_processors
    pipeline.unet.set_attn_processor(MaterialisedAttention())
    made = pipeline.unet(*inputs).sample
    pipeline.unet.set_attn_processor(usual)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_one_batch_makes_the_edits_of_our_sweep(pipeline: DiffusionPipeline, sd1_folder: Path):
    reference = one_batch(pipeline, TASK)
    request = p2p.SweepRequest(
        TASK.source,
        TASK.target,
        TASK.taus,
        seed=TASK.seed,
        steps=TASK.steps,
        guidance_scale=TASK.guidance_scale,
        self_gain=TASK.self_gain,
    )
    (sweep,) = p2p.load(sd1_folder, device="cpu").sweep_many([request])
    assert reference.latents is not None
    torch.testing.assert_close(reference.latents, sweep.edit_latents, atol=1e-3, rtol=1e-3)
    assert reference.rows == 2 * (1 + len(TASK.taus)) * TASK.steps


@torch.inference_mode()
def test_without_injection_both_methods_make_one_edit(pipeline: DiffusionPipeline):
    free = replace(TASK, taus=(0.0,))
    ours, theirs = one_batch(pipeline, free), instructpix2pix(pipeline, free)
    assert ours.latents is not None
    assert theirs.latents is not None
    torch.testing.assert_close(ours.latents, theirs.latents, atol=1e-4, rtol=1e-4)
    held = instructpix2pix(pipeline, replace(TASK, taus=(1.0,))).latents
    assert held is not None
    assert (held - theirs.latents).abs().max() > 1e-2, "injection has an effect"


@torch.inference_mode()
def test_rows_count_every_image_with_guidance(pipeline: DiffusionPipeline):
    assert instructpix2pix(pipeline, TASK).rows == 4 * TASK.steps * len(TASK.taus)
    images = plain(pipeline, TASK)
    assert (images.latents, images.rows) == (None, 2 * TASK.steps * (1 + len(TASK.taus)))
