"""The source's caption in unconditional rows, against the naive algorithm."""

from __future__ import annotations

import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from tests.oracle import naive
from tests.oracle.inversion import PAIR, compare, drawn_image


@pytest.mark.parametrize("inject_unconditional", [False, True])
def test_edits_are_those_of_the_naive_algorithm(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, inject_unconditional: bool
) -> None:
    with torch.no_grad():
        caption = naive.encode(pipeline, [PAIR.source])
    compare(
        editor,
        pipeline,
        "negative_prompt",
        negatives=[caption] * 5,
        inject_unconditional=inject_unconditional,
    )


def test_guidance_leaves_the_source_alone(sd1_editor: p2p.Editor) -> None:
    """The source has one row a step: its unconditional row would be the same."""
    plain, guided = (
        sd1_editor.sweep(
            PAIR.source,
            PAIR.target,
            (1.0,),
            steps=6,
            image=drawn_image(),
            inversion="negative_prompt",
            guidance_scale=guidance_scale,
        )
        for guidance_scale in (1.0, 7.5)
    )
    assert torch.allclose(plain.source_latents, guided.source_latents, atol=1e-5)
    assert (plain.rows, guided.rows) == (6 + 6 + 6, 6 + 6 + 2 * 6)


def test_it_has_no_place_for_another_negative_prompt() -> None:
    with pytest.raises(p2p.P2PError, match="has a negative prompt of its own; remove negative_prompt"):
        p2p.SweepRequest("a", "b", image=drawn_image(), inversion="negative_prompt", negative_prompt="a dog")
