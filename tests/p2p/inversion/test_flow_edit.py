"""FlowEdit against the naive algorithm, and its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Pipeline

import p2p
from p2p.sweep.noise import step_noise
from tests import models
from tests.oracle.inversion import PAIR, drawn_image, flow_edit

STEPS = 5
RUN: dict[str, Any] = {"steps": STEPS, "sampler": "flow_match_euler", "method": "flowedit", "seed": 3}


@pytest.fixture(scope="module")
def sd3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_stable_diffusion_3(tmp_path_factory.mktemp("sd3"))


@pytest.fixture(scope="module")
def sd3_editor(sd3_folder: Path) -> p2p.Editor:
    return p2p.load(sd3_folder, device="cpu")


@pytest.mark.parametrize("scales", [(3.5, 13.5), (1.0, 4.0), (4.0, 1.0), (1.0, 1.0)])
def test_edits_are_those_of_the_naive_algorithm(
    sd3_folder: Path, sd3_editor: p2p.Editor, scales: tuple[float, float]
) -> None:
    """Several τ share the source; each edit enters at its own step."""
    pipeline = StableDiffusion3Pipeline.from_pretrained(sd3_folder)
    image = drawn_image()
    sweep = sd3_editor.sweep(
        PAIR.source,
        PAIR.target,
        (0.6, 0.2, 1.0),
        image=image,
        source_guidance_scale=scales[0],
        guidance_scale=scales[1],
        **RUN,
    )
    noises = [step_noise(3, i, (4, 8, 8)) for i in range(STEPS)]
    latents = sd3_editor.family.decoder.encode(image)
    for skipped, edit in zip((3, 1), sweep.edit_latents, strict=False):
        expected = flow_edit(
            pipeline,
            image,
            (PAIR.source, PAIR.target),
            noises,
            skipped,
            scales,
            max_sequence_length=models.T5_TOKENS,
        )
        assert torch.allclose(edit, expected, atol=1e-4, rtol=1e-4)
        assert (expected - latents).abs().max() > 1e-2
    assert torch.equal(sweep.edit_latents[2], latents)
    assert torch.equal(sweep.source_latents, latents)
    of_edit = 1 if scales == (1.0, 1.0) else 2
    assert sweep.rows == 4 * (1 + (scales[0] > 1)) + of_edit * (4 + 2)


def test_a_target_like_the_source_leaves_the_image(sd3_editor: p2p.Editor) -> None:
    image = drawn_image()
    sweep = sd3_editor.sweep(PAIR.source, PAIR.source, (0.0,), image=image, guidance_scale=4.0, **RUN)
    assert torch.allclose(sweep.edit_latents[0], sweep.source_latents, atol=1e-5)


def test_edits_in_small_batches_are_the_same(sd3_editor: p2p.Editor) -> None:
    """Copies of the source go with the edits that do not fit beside it."""
    requests = [
        p2p.SweepRequest(PAIR.source, PAIR.target, (0.0, 0.2, 0.4, 0.8), image=drawn_image(k), **RUN)
        for k in range(2)
    ]
    for whole, cut in zip(
        sd3_editor.sweep_many(requests), sd3_editor.sweep_many(requests, batch_rows=4), strict=True
    ):
        assert torch.allclose(whole.edit_latents, cut.edit_latents, atol=1e-4)


def test_flux_embeds_both_scales(tmp_path: Path) -> None:
    editor = p2p.load(models.save_flux(tmp_path), device="cpu")
    options: dict[str, Any] = {"image": drawn_image(), "guidance_scale": 5.5, **RUN}
    weak, strong = (
        editor.sweep(PAIR.source, PAIR.target, (0.2,), source_guidance_scale=scale, **options)
        for scale in (1.5, 5.5)
    )
    assert weak.rows == strong.rows == 2 * 4
    assert (weak.edit_latents - strong.edit_latents).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "flowedit"}, "edits a real image"),
        ({"method": "flowedit", "image": drawn_image()}, "needs a model that predicts a flow"),
        ({"source_guidance_scale": 2.0}, "source_guidance_scale is for method='flowedit'"),
    ],
)
def test_requests_that_cannot_be_carried_out(
    sd1_editor: p2p.Editor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(p2p.P2PError, match=message):
        sd1_editor.sweep(PAIR.source, PAIR.target, **options)
