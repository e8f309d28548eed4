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


def test_outside_of_the_words_an_edit_is_the_inverted_image(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline
) -> None:
    """Mask-based editing, figure 12 of Hertz et al. 2022: the source has left the image, the background has not."""
    blend = p2p.Blend("ball", "hexagon", threshold=0.9, start=0.2, background="image")
    sweep, expected = compare(editor, pipeline, "ddim", blend=blend)
    latents = editor.family.decoder.encode(drawn_image())
    same = [
        (sweep.edit_latents[1] == other).all(0).float().mean().item()
        for other in (latents, sweep.source_latents)
    ]
    assert same == pytest.approx([1 - expected.covered, 0.0])


def test_the_background_of_an_image_needs_one() -> None:
    with pytest.raises(p2p.P2PError, match="background='image' needs a real image"):
        p2p.SweepRequest("a ball", "a box", blend=p2p.Blend("ball", "box", background="image"))
    with pytest.raises(p2p.P2PError, match="background 'photo' is unknown; there are source, image"):
        p2p.Blend("ball", "box", background="photo")


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
