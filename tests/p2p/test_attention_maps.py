"""Where words are attended to: averages of the maps, by steps and in all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

import p2p
from p2p.sweep.tree import injected_steps
from tests import models
from tests.oracle import naive
from tests.oracle.prompts import PromptPair, Segment, mapper

PROMPT = "a red hexagon on grass"
SETTINGS: dict[str, Any] = {"seed": 4, "steps": 5, "guidance_scale": 3.0}


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_maps_are_the_averages_of_those_in_memory(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, guidance_scale: float
) -> None:
    """The naive run edits nothing; its first 2 of 5 steps are the first group, as 5 / 2 is rounded to even."""
    settings = {**SETTINGS, "guidance_scale": guidance_scale}
    pictures = editor.attention(PROMPT, groups=2, **settings)
    result = naive.generate(pipeline, PROMPT, PROMPT, naive.NaiveEdit({}, 0, 0), sampler="ddim", **settings)
    tokens = naive.tokens_of_words(pipeline.tokenizer, PROMPT)
    assert pictures.words == tuple(PROMPT.split())
    assert pictures.maps.dtype == pictures.groups.dtype == np.float32
    assert pictures.groups.shape == (2, 5, 16, 16)
    assert np.abs(pictures.image - result.source_image.numpy()).max() <= 1
    for maps, steps in (
        (pictures.groups[0], [0, 1]),
        (pictures.groups[1], [2, 3, 4]),
        (pictures.maps, range(5)),
    ):
        expected = naive.word_maps(result.seen, steps, tokens, side=8, pixels=16)
        assert np.abs(maps - expected.numpy()).max() < 1e-5
    assert maps.max() - maps.min() > 0.01, "the small models attend here more than there"


def test_words_share_all_attention_with_what_is_no_word(editor: p2p.Editor) -> None:
    """Start, end and padding have the rest."""
    pictures = editor.attention(PROMPT, **SETTINGS)
    assert (pictures.maps > 0).all()
    assert (pictures.maps.sum(0) < 1).all()
    assert pictures.groups.shape == (1, 5, 16, 16)
    assert np.allclose(pictures.groups[0], pictures.maps, atol=1e-6)


def test_the_image_is_that_of_a_sweep(editor: p2p.Editor) -> None:
    pictures = editor.attention(PROMPT, sampler="euler_ancestral", **SETTINGS)
    sweep = editor.sweep(PROMPT, PROMPT, sampler="euler_ancestral", taus=[0.0], **SETTINGS)
    assert np.abs(pictures.image.astype(int) - sweep.source).max() <= 1


@pytest.mark.parametrize("groups", [0, 6])
def test_groups_are_runs_of_steps(sd1_editor: p2p.Editor, groups: int) -> None:
    with pytest.raises(p2p.P2PError, match=f"groups = {groups} is not in 1 to 5, the number of steps"):
        sd1_editor.attention(PROMPT, groups=groups, **SETTINGS)


REQUEST = p2p.SweepRequest(PROMPT, "a blue ball on grass and sand", (0.4,), **SETTINGS)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
@pytest.mark.parametrize("tau", [0.0, 0.4, 1.0])
def test_maps_of_an_edit_are_its_own_before_injection(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, tau: float, guidance_scale: float
) -> None:
    request = replace(REQUEST, taus=(tau,), guidance_scale=guidance_scale)
    settings = {**SETTINGS, "guidance_scale": guidance_scale}
    pair = PromptPair(
        (
            Segment(("a",), ("a",)),
            Segment(("red", "hexagon"), ("blue", "ball")),
            Segment(("on", "grass"), ("on", "grass")),
            Segment((), ("and", "sand")),
        )
    )
    mapped = mapper(pipeline.tokenizer, pair, "auto", models.TOKENS)
    edit = naive.NaiveEdit(mapped, injected_steps(1.0, tau, 5), injected_steps(0.5, tau, 5))
    result = naive.generate(pipeline, pair.source, pair.target, edit, sampler="ddim", **settings)
    for row, seen, prompt, image in zip(
        (0, 1),
        editor.edit_attention(request),
        (pair.source, pair.target),
        (result.source_image, result.edit_image),
        strict=True,
    ):
        tokens = naive.tokens_of_words(pipeline.tokenizer, prompt)
        own = [[maps[row:] for maps in step] for step in result.seen]
        wanted = naive.word_maps(own, range(5), tokens, side=8, pixels=16)
        assert seen.words == tuple(prompt.split())
        assert np.abs(seen.maps - wanted.numpy()).max() < 1e-5
        assert np.abs(seen.image - image.numpy()).max() <= 1


@pytest.mark.parametrize(
    "wrong", [{"taus": (0.2, 0.4)}, {"method": "same_seed"}, {"blend": ("grass", "grass")}]
)
def test_an_edit_s_maps_are_of_one_plain_edit(sd1_editor: p2p.Editor, wrong: dict[str, Any]) -> None:
    with pytest.raises(p2p.P2PError, match="need method='p2p', one τ, and no blend"):
        sd1_editor.edit_attention(replace(REQUEST, **wrong))
