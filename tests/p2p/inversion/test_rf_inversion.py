"""RF-Inversion against the naive algorithm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Pipeline

import p2p
from tests import models
from tests.oracle.inversion import PAIR, drawn_image, rf_inversion_edit
from tests.oracle.joint import NaiveJointAttention
from tests.oracle.naive import NaiveEdit

STEPS = 6
RUN: dict[str, Any] = {"steps": STEPS, "sampler": "flow_match_euler", "inversion": "rf_inversion"}


def test_edits_are_those_of_the_naive_algorithm(tmp_path: Path) -> None:
    models.save_stable_diffusion_3(tmp_path)
    editor = p2p.load(tmp_path, device="cpu")
    pipeline = StableDiffusion3Pipeline.from_pretrained(tmp_path)
    image = drawn_image()
    sweep = editor.sweep(PAIR.source, PAIR.target, (0.0, 1.0), seed=5, guidance_scale=3.5, image=image, **RUN)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(5))
    attention = NaiveJointAttention(NaiveEdit({}, 0, 0), editor.family.window)
    expected = rf_inversion_edit(
        pipeline,
        attention,
        image,
        (PAIR.source, PAIR.target),
        noise,
        STEPS,
        3.5,
        max_sequence_length=models.T5_TOKENS,
    )
    assert torch.allclose(sweep.source_latents, expected[0], atol=1e-4, rtol=1e-4)
    assert torch.allclose(sweep.edit_latents[0], expected[1], atol=1e-4, rtol=1e-4)
    assert (sweep.edit_latents[1] - sweep.edit_latents[0]).abs().max() > 1e-3, "injection works beside it"


def test_each_seed_has_an_inversion_of_its_own(tmp_path: Path) -> None:
    editor = p2p.load(models.save_flux(tmp_path), device="cpu")
    requests = [
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.0,), seed=seed, image=drawn_image(), **RUN)
        for seed in (1, 1, 2)
    ]
    first, same, other = editor.sweep_many(requests)
    assert (first.rows, same.rows, other.rows) == (3 * STEPS, 2 * STEPS, 3 * STEPS)
    assert torch.allclose(first.edit_latents, same.edit_latents, atol=1e-5)
    assert (first.edit_latents - other.edit_latents).abs().max() > 1e-3
    direct = editor.sweep(
        PAIR.source, PAIR.target, (0.0,), image=drawn_image(), steps=STEPS, sampler="flow_match_euler"
    )
    assert direct.rows == 2 * STEPS


def test_it_needs_a_flow(sd1_editor: p2p.Editor) -> None:
    with pytest.raises(p2p.P2PError, match="needs a model that predicts a flow; use 'direct'"):
        sd1_editor.sweep(PAIR.source, PAIR.target, image=drawn_image(), inversion="rf_inversion")
