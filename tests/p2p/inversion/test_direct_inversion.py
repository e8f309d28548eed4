"""The source held to the image's trajectory: against the naive algorithm, and to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from tests.oracle.inversion import PAIR, compare, drawn_image


@pytest.mark.parametrize(
    ("tau", "guidance_scale", "options"),
    [(0.6, 3.0, {}), (0.2, 1.0, {}), (1.0, 3.0, {"inject_unconditional": True})],
)
def test_edits_are_those_of_the_naive_algorithm(
    editor: p2p.Editor,
    pipeline: StableDiffusionPipeline,
    tau: float,
    guidance_scale: float,
    options: dict[str, Any],
) -> None:
    sweep, _ = compare(editor, pipeline, "direct", tau, guidance_scale=guidance_scale, held=True, **options)
    assert (sweep.edit_latents[1] - sweep.source_latents).abs().max() > 1e-2


def test_outside_of_the_words_an_edit_is_the_inverted_source(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline
) -> None:
    """Mask-based editing, figure 12 of Hertz et al. 2022."""
    blend = p2p.Blend("ball", "hexagon", threshold=0.9, start=0.2)
    sweep, expected = compare(editor, pipeline, "direct", held=True, blend=blend)
    assert 0.02 < expected.covered < 0.98, "a mask of everything or of nothing tests nothing"
    same = (sweep.edit_latents[1] == sweep.source_latents).all(0).float().mean().item()
    assert same == pytest.approx(1 - expected.covered)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m", "unipc"])
def test_the_reconstruction_is_the_round_trip(sd1_editor: p2p.Editor, sampler: str) -> None:
    image = drawn_image()
    sweep = sd1_editor.sweep(PAIR.source, PAIR.target, steps=4, image=image, sampler=sampler)
    latents = sd1_editor.family.decoder.encode(image)
    assert torch.equal(sweep.source_latents, latents)
    assert np.array_equal(sweep.source, sd1_editor.decode(latents[None])[0])
    assert sweep.original is image
    assert sweep.edit_latents.isfinite().all()


@pytest.mark.parametrize(("guidance_scale", "doubled"), [(4.0, 2), (1.0, 1)])
def test_rows_are_the_minimum(sd1_editor: p2p.Editor, guidance_scale: float, doubled: int) -> None:
    """10 for the inversion, 9 of the source while something is injected at τ = 0.9, and the edits as ever."""
    taus = tuple(k / 10 for k in range(1, 10))
    options: dict[str, Any] = {"steps": 10, "self_gain": 1.0, "guidance_scale": guidance_scale, "taus": taus}
    sweep = sd1_editor.sweep(PAIR.source, PAIR.target, image=drawn_image(), **options)
    assert sweep.rows == 10 + 9 + doubled * (9 + 45)
    blended = sd1_editor.sweep(
        PAIR.source, PAIR.target, image=drawn_image(), blend=("ball", "hexagon"), **options
    )
    assert blended.rows == 10 + 10 + doubled * (9 + 45)


def test_unconditional_rows_of_the_source_come_with_injection(sd1_editor: p2p.Editor) -> None:
    sweep = sd1_editor.sweep(
        PAIR.source, PAIR.target, taus=(1.0,), steps=4, image=drawn_image(), inject_unconditional=True
    )
    assert sweep.rows == 4 + 2 * 4 + 2 * 4
