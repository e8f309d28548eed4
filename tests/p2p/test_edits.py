"""The paper's edits beyond swap and refine, against materialised maps with the columns written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from tests import models
from tests.oracle import naive

RUN: dict[str, Any] = {"seed": 3, "steps": 5, "guidance_scale": 3.0, "sampler": "ddim"}


def compare(
    editor: p2p.Editor,
    pipeline: StableDiffusionPipeline,
    source: str,
    target: str,
    columns: naive.Mapper,
    weights: dict[int, float] | None = None,
    **options: Any,
) -> p2p.Sweep:
    """τ = 0.6 of five steps: cross-attention comes from the source at three, self-attention at two."""
    sweep = editor.sweep(source, target, taus=(0.2, 0.6), **RUN, **options)
    edit = naive.NaiveEdit(mapper=columns, cross_steps=3, self_steps=2, weights=weights or {})
    expected = naive.generate(pipeline, source, target, edit, **RUN)
    assert torch.allclose(sweep.source_latents, expected.source_latents, atol=1e-4, rtol=1e-5)
    assert torch.allclose(sweep.edit_latents[1], expected.edit_latents, atol=1e-4, rtol=1e-5)
    return sweep


def columns(given: dict[int, list[int]], end: tuple[int, int]) -> naive.Mapper:
    """Words as given, each from the source tokens in its list; ends to ends, padding to its own place."""
    shares = {j: sum(i == tokens for i in given.values()) for j, tokens in given.items()}
    words = {j: [(i, 1 / shares[j]) for i in tokens] for j, tokens in given.items()}
    rest = {0: [(0, 1.0)], end[1]: [(end[0], 1.0)]}
    return words | rest | {j: [(j, 1.0)] for j in range(end[1] + 1, models.TOKENS)}


@pytest.mark.parametrize("only", [("cat",), ("cat", "on grass")])
def test_only_some_words(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, only: tuple[str, ...]
) -> None:
    chosen = {3: [(3, 1.0)]} | ({4: [(4, 1.0)], 5: [(5, 1.0)]} if len(only) == 2 else {})
    compare(editor, pipeline, "a white cat on grass", "a red cat on grass", chosen, only=only)


def test_only_some_words_of_which_one_has_a_tau_of_its_own(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline
) -> None:
    """A word that takes nothing has no τ, and one whose τ is 0 takes nothing."""
    source, target = "a white cat on grass", "a red cat on snow"
    compare(
        editor,
        pipeline,
        source,
        target,
        {3: [(3, 1.0)]},
        only=("red", "cat"),
        word_taus={"red": 0.0, "snow": 1.0},
    )


def test_alignment_by_hand(editor: p2p.Editor, pipeline: StableDiffusionPipeline) -> None:
    source, target = "a red ball and a blue box", "a blue box and a white dog"
    by_hand = (("red ball", "white dog"), ("blue", "box"), ("box", "blue"))
    places = {1: [1], 2: [7], 3: [6], 4: [4], 5: [5], 6: [2], 7: [3]}
    sweep = compare(editor, pipeline, source, target, columns(places, (8, 8)), alignment=by_hand)
    automatic = editor.sweep(source, target, taus=(0.6,), **RUN)
    assert (sweep.edit_latents[1] - automatic.edit_latents[0]).abs().max() > 1e-3


def test_alignment_by_hand_of_one_word_to_two(editor: p2p.Editor, pipeline: StableDiffusionPipeline) -> None:
    places = {1: [1], 2: [3], 3: [3], 4: [4], 5: [5]}
    compare(
        editor,
        pipeline,
        "a red ball on grass",
        "a white dog on grass",
        columns(places, (6, 6)),
        alignment=(("ball", "white dog"),),
    )


@pytest.mark.parametrize("c", [-2.0, -0.5, 0.0, 1.0, 2.0, 6.0])
def test_fader(editor: p2p.Editor, pipeline: StableDiffusionPipeline, c: float) -> None:
    """Figure 9: the same prompt, one word's columns times c, injected or not."""
    prompt = "a red ball on snow"
    places = {j: [j] for j in range(1, 6)}
    sweep = compare(
        editor, pipeline, prompt, prompt, columns(places, (6, 6)), weights={5: c}, reweight={"snow": c}
    )
    moved = (sweep.edit_latents[1] - sweep.source_latents).abs().max()
    assert moved < 1e-4 if c == 1 else moved > 1e-3


@pytest.mark.parametrize("c", [-2.0, 3.0])
def test_fader_over_a_removed_phrase(editor: p2p.Editor, pipeline: StableDiffusionPipeline, c: float) -> None:
    compare(
        editor,
        pipeline,
        "a ball and a star on sand",
        "a ball on sand",
        columns({1: [1], 2: [2], 3: [6], 4: [7]}, (8, 5)),
        weights={2: c},
        reweight={"ball": c},
    )


def test_prompts_that_are_cut(sd1_editor: p2p.Editor) -> None:
    """What is left is edited as if it had been all there was."""
    tail = " in a storm by night under a large tree" * 3
    starts = ("a red ball", "a white and blue ball")
    cut = sd1_editor.sweep(*(start + tail for start in starts), too_long="truncate", **RUN)
    fits = [" ".join((start + tail).split()[:18]) for start in starts]
    assert torch.equal(cut.edit_latents, sd1_editor.sweep(*fits, **RUN).edit_latents)


def test_prompts_that_are_cut_inside_a_word(editor: p2p.Editor, pipeline: StableDiffusionPipeline) -> None:
    """The model is given the tokens that diffusers gives it, and the rest of the word counts as the word."""
    long = "a red ball and a red box on a red star on a red cat and hexagon"
    assert len(pipeline.tokenizer(long).input_ids) > models.TOKENS
    expected, _ = pipeline.encode_prompt(long, "cpu", 1, False)
    with torch.no_grad():
        assert torch.allclose(editor.family.encode(long, cut=True)[0], expected[0], atol=1e-5)
    last = editor.family.tokenize(long, cut=True).words[-1]
    assert last.text == "hexagon"
    assert last.tokens[-1] == models.TOKENS - 2
    assert len(last.tokens) < len(pipeline.tokenizer.tokenize("hexagon"))
    editor.sweep(long, long, reweight={"hexagon": 2.0}, too_long="truncate", **RUN)


def test_a_model_without_pooled_embedding_takes_no_notice(sd1_editor: p2p.Editor) -> None:
    own, held = (
        sd1_editor.sweep("a red ball", "a blue ball", pooled=pooled, **RUN) for pooled in ("own", "source")
    )
    assert torch.equal(own.edit_latents, held.edit_latents)
