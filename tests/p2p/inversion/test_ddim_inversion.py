"""The source from the inverted noise, against the naive algorithm."""

from __future__ import annotations

import pytest
from diffusers import StableDiffusionPipeline

import p2p
from tests.oracle.inversion import PAIR, compare, drawn_image


@pytest.mark.parametrize(("tau", "guidance_scale"), [(0.6, 3.0), (0.2, 1.0)])
def test_edits_are_those_of_the_naive_algorithm(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, tau: float, guidance_scale: float
) -> None:
    compare(editor, pipeline, "ddim", tau, guidance_scale=guidance_scale)


def test_guidance_takes_the_source_away_from_the_image(sd1_editor: p2p.Editor) -> None:
    image = drawn_image()
    latents = sd1_editor.family.decoder.encode(image)

    def error(guidance_scale: float) -> float:
        sweep = sd1_editor.sweep(
            PAIR.source,
            PAIR.target,
            (0.0,),
            steps=8,
            image=image,
            inversion="ddim",
            guidance_scale=guidance_scale,
        )
        return float((sweep.source_latents - latents).square().mean())

    assert error(1.0) < error(9.0)
