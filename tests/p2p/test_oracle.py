"""Fused edits equal those on materialised maps, from the prompts to the pixels."""

from __future__ import annotations

import math
from collections.abc import Collection
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import miniworld
import p2p
from tests import models
from tests.oracle import naive
from tests.oracle.prompts import PromptPair, Segment, mapper, prompt_pairs

SHARED = settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


SD2_AT_LENGTH = pytest.mark.parametrize(
    "folder", ["sd1", pytest.param("sd2", marks=pytest.mark.long)], indirect=True, scope="session"
)
"""Edits know nothing of what a model predicts: samplers and drawn settings are compared for both by default."""


def same(words: str) -> Segment:
    return Segment(tuple(words.split()), tuple(words.split()))


def change(source: str, target: str) -> Segment:
    return Segment(tuple(source.split()), tuple(target.split()))


PAIRS = {
    "equal token counts": PromptPair((same("a"), change("red", "blue"), same("ball on grass"))),
    "one token to several": PromptPair((same("a red"), change("ball", "hexagon"), same("on grass"))),
    "several tokens to one": PromptPair((same("a red"), change("umbrella", "box"), same("on grass"))),
    "one word to two": PromptPair((same("a"), change("cat", "white dog"), same("on grass"))),
    "added": PromptPair((same("a ball"), change("", "and a star"), same("on sand"))),
    "removed": PromptPair((same("a ball"), change("and a star", ""), same("on sand"))),
    "style": PromptPair((same("a"), change("photo", "mosaic"), same("of a dog"))),
}


def steps_of(gain: float, tau: float, steps: int) -> int:
    """The definition, in decimal arithmetic."""
    exact = Decimal(str(gain)) * Decimal(str(tau)) * steps + Decimal("0.5") + Decimal("1e-9")
    return min(steps, int(exact.to_integral_value(ROUND_FLOOR)))


def compare(
    editor: p2p.Editor,
    pipeline: StableDiffusionPipeline,
    pair: PromptPair,
    edit: str = "auto",
    tau: float = 0.6,
    steps: int = 5,
    cross_gain: float = 1.0,
    self_gain: float = 0.5,
    guidance_scale: float = 3.0,
    sampler: str = "ddim",
    seed: int = 3,
    inject_unconditional: bool = False,
    word_tau: tuple[str, float] | None = None,
    reweight: tuple[str, float] | None = None,
    blend: p2p.Blend | None = None,
    guidance_interval: tuple[float, float] | None = None,
    unguided_steps: Collection[int] = (),
    negative_prompt: str | None = None,
    self_max_size: float | None = None,
    start: float = 0.0,
    self_tau: float | None = None,
    reweight_steps: str = "all",
) -> naive.NaiveResult:
    """One sweep against one naive run; τ travels with two others, which must make no difference."""
    common: dict[str, Any] = dict(  # noqa: C408
        seed=seed, steps=steps, guidance_scale=guidance_scale, sampler=sampler
    )
    sweep = editor.sweep(
        pair.source,
        pair.target,
        taus=(0.2, tau, 1.0),
        edit=edit,
        cross_gain=cross_gain,
        self_gain=self_gain,
        inject_unconditional=inject_unconditional,
        word_taus=dict([word_tau]) if word_tau else None,
        reweight=dict([reweight]) if reweight else None,
        blend=blend,
        guidance_interval=guidance_interval,
        negative_prompt=negative_prompt,
        self_max_size=self_max_size,
        start=start,
        self_tau=self_tau,
        reweight_steps=reweight_steps,
        **common,
    )
    height, width = editor.family.latent_shape[1:]
    window = editor.family.window
    cross_steps: dict[int, int] = dict.fromkeys(range(window), steps_of(cross_gain, tau, steps))
    if word_tau:
        word, own_tau = word_tau
        cross_steps |= dict.fromkeys(
            positions(pipeline, pair.target, word), steps_of(cross_gain, own_tau, steps)
        )
    expected = naive.generate(
        pipeline,
        pair.source,
        pair.target,
        naive.NaiveEdit(
            mapper=mapper(pipeline.tokenizer, pair, edit, window),
            cross_steps=cross_steps,
            self_steps=steps_of(self_gain, tau if self_tau is None else self_tau, steps),
            weights=dict.fromkeys(positions(pipeline, pair.target, reweight[0]), reweight[1])
            if reweight
            else {},
            unconditional=inject_unconditional,
            first_step=steps_of(1.0, start, steps),
            self_pixels=math.inf if self_max_size is None else self_max_size**2 * height * width,
            weights_end=reweight_steps == "injected",
        ),
        blend=naive_blend(pipeline, pair, blend, steps) if blend else None,
        unguided_steps=unguided_steps,
        negative_prompt=negative_prompt or "",
        **common,
    )
    assume(expected.margin > 1e-5)  # nearer to the threshold, the last bit decides
    assert torch.allclose(sweep.source_latents, expected.source_latents, atol=1e-4, rtol=1e-5)
    assert torch.allclose(sweep.edit_latents[1], expected.edit_latents, atol=1e-4, rtol=1e-5)
    assert np.abs(sweep.source - expected.source_image.numpy()).max() <= 1
    assert np.abs(sweep.edits[1] - expected.edit_image.numpy()).max() <= 1
    return expected


def naive_blend(
    pipeline: StableDiffusionPipeline, pair: PromptPair, blend: p2p.Blend, steps: int
) -> naive.NaiveBlend:
    """Of single words. All models here have maps of 8 a side, or half as wide as the latents."""
    assert isinstance(blend.source, str)
    assert isinstance(blend.target, str)
    subtract = {
        prompt: [
            position
            for word in [blend.subtract] * bool(blend.subtract)
            if word in prompt.split()
            for position in positions(pipeline, prompt, word)
        ]
        for prompt in (pair.source, pair.target)
    }
    return naive.NaiveBlend(
        source=positions(pipeline, pair.source, blend.source),
        target=positions(pipeline, pair.target, blend.target),
        size=(8, 8) if isinstance(pipeline.unet.config.sample_size, int) else (8, 12),
        threshold=blend.threshold,
        start_steps=steps_of(1.0, blend.start, steps),
        interpolation=blend.interpolation,
        subtract_source=subtract[pair.source],
        subtract_target=subtract[pair.target],
    )


def positions(pipeline: StableDiffusionPipeline, prompt: str, word: str) -> list[int]:
    """Token positions of a word that the prompt has once."""
    before, _, _ = prompt.partition(word)
    start = 1 + len(pipeline.tokenizer.tokenize(before))
    return list(range(start, start + len(pipeline.tokenizer.tokenize(word))))


@SD2_AT_LENGTH
@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("edit", ["auto", "refine"])
def test_edits(editor: p2p.Editor, pipeline: StableDiffusionPipeline, kind: str, edit: str) -> None:
    compare(editor, pipeline, PAIRS[kind], edit)


@pytest.mark.parametrize("sampler", naive.SCHEDULERS)
@pytest.mark.parametrize(
    ("guidance_scale", "inject_unconditional"), [(1.0, False), (5.0, False), (5.0, True)]
)
def test_samplers_and_guidance(
    editor: p2p.Editor,
    pipeline: StableDiffusionPipeline,
    sampler: str,
    guidance_scale: float,
    inject_unconditional: bool,
) -> None:
    compare(
        editor,
        pipeline,
        PAIRS["one token to several"],
        sampler=sampler,
        guidance_scale=guidance_scale,
        inject_unconditional=inject_unconditional,
    )


@SD2_AT_LENGTH
@pytest.mark.parametrize("sampler", naive.SCHEDULERS)
@pytest.mark.parametrize("guided", [range(1, 4), pytest.param(range(3), marks=pytest.mark.long), range(5, 5)])
def test_guidance_on_an_interval_of_noise_levels(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, sampler: str, guided: range
) -> None:
    """The bounds are put half-way between the levels of steps, in diffusers' own terms: σ of x = x₀ + σ ε."""
    steps = 5
    scheduler = naive.SCHEDULERS[sampler].from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(steps)
    alphas = scheduler.alphas_cumprod[scheduler.timesteps.long()]
    levels = [100.0, *((1 - alphas) / alphas).sqrt().tolist(), 0.0]
    high, low = ((levels[k] + levels[k + 1]) / 2 for k in (guided.start, guided.stop))
    if not guided:
        low, high = low * 0.999, low
    compare(
        editor,
        pipeline,
        PAIRS["one token to several"],
        steps=steps,
        sampler=sampler,
        guidance_scale=5.0,
        inject_unconditional=True,
        guidance_interval=(low, high),
        unguided_steps=set(range(steps)) - set(guided),
    )


def test_self_injection_alone_is_the_recipe_of_instructpix2pix(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline
) -> None:
    compare(editor, pipeline, PAIRS["style"], cross_gain=0.0, self_gain=1.0, inject_unconditional=True)


@SD2_AT_LENGTH
@pytest.mark.parametrize("word_tau", [("grass", 0.2), ("grass", 1.0), ("hexagon", 0.0), ("hexagon", 0.8)])
def test_word_with_a_tau_of_its_own(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, word_tau: tuple[str, float]
) -> None:
    compare(editor, pipeline, PAIRS["one token to several"], word_tau=word_tau)


@SD2_AT_LENGTH
@pytest.mark.parametrize("reweight", [("hexagon", 2.5), ("red", -1.0), ("grass", 0.0)])
@pytest.mark.parametrize("tau", [0.0, 0.6])
def test_reweighted_word(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, reweight: tuple[str, float], tau: float
) -> None:
    compare(editor, pipeline, PAIRS["one token to several"], reweight=reweight, tau=tau)


@SD2_AT_LENGTH
@pytest.mark.parametrize("size", [0.5, 0.9])
@pytest.mark.parametrize("inject_unconditional", [False, True])
def test_self_attention_of_small_layers_only(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, size: float, inject_unconditional: bool
) -> None:
    """Layers of 4×4 pixels take the source's self-attention, those of 8×8, the latents' size, do not."""
    small, all_layers = (
        compare(
            editor,
            pipeline,
            PAIRS["one token to several"],
            self_gain=1.0,
            tau=1.0,
            inject_unconditional=inject_unconditional,
            self_max_size=limit,
        )
        for limit in (size, 1.0)
    )
    assert (small.edit_latents - all_layers.edit_latents).abs().max() > 1e-3


@pytest.mark.parametrize("negative_prompt", ["", "a white dog"])
def test_negative_prompt(editor: p2p.Editor, pipeline: StableDiffusionPipeline, negative_prompt: str) -> None:
    pair = PAIRS["one token to several"]
    result = compare(editor, pipeline, pair, negative_prompt=negative_prompt, inject_unconditional=True)
    usual = compare(editor, pipeline, pair, inject_unconditional=True)
    assert (negative_prompt == "") == torch.equal(result.source_latents, usual.source_latents)


@SD2_AT_LENGTH
@pytest.mark.parametrize("start", [0.2, 0.4, 1.0])
@pytest.mark.parametrize("self_tau", [None, 0.0, 1.0])
def test_a_late_start_and_a_tau_of_self_attention(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, start: float, self_tau: float | None
) -> None:
    pair = PAIRS["one token to several"]
    compare(editor, pipeline, pair, start=start, self_tau=self_tau, self_gain=0.8, word_tau=("grass", 1.0))


@pytest.mark.parametrize("word", ["star", "ball"])
def test_reweighting_that_ends_with_the_injection(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, word: str
) -> None:
    compare(editor, pipeline, PAIRS["added"], reweight=(word, 2.0), reweight_steps="injected")


@SD2_AT_LENGTH
@pytest.mark.parametrize("word_tau", [None, ("star", 0.4), ("ball", 0.2)])
@pytest.mark.parametrize("word", ["star", "ball"])
def test_reweighted_word_that_keeps_its_own_attention(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, word: str, word_tau: tuple[str, float] | None
) -> None:
    compare(editor, pipeline, PAIRS["added"], reweight=(word, 2.0), word_tau=word_tau)


@SHARED
@given(
    pair=prompt_pairs(),
    edit=st.sampled_from(["auto", "refine"]),
    tau=st.integers(0, 100).map(lambda percent: percent / 100),
    steps=st.integers(1, 6),
    cross_gain=st.sampled_from([0.0, 0.4, 1.0, 1.5]),
    self_gain=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_prompts_and_settings(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, pair: PromptPair, edit: str, **settings: Any
) -> None:
    compare(editor, pipeline, pair, edit, **settings)


@pytest.mark.parametrize("sampler", naive.SCHEDULERS)
def test_blend_with_every_sampler(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline, sampler: str
) -> None:
    blend = p2p.Blend("ball", "hexagon", subtract="grass", threshold=0.9, start=0.2)
    result = compare(editor, pipeline, PAIRS["one token to several"], sampler=sampler, blend=blend)
    assert 0.02 < result.covered < 0.98, "a mask of everything or of nothing tests nothing"


def test_blend_with_maps_enlarged_without_interpolation(
    mini_world: tuple[p2p.Editor, StableDiffusionPipeline],
) -> None:
    pair = PromptPair((same("a photo of a"), change("red", "blue"), same("ball on grass by day")))
    blend = p2p.Blend("ball", "ball", threshold=0.5, interpolation="nearest")
    result = compare(*mini_world, pair, blend=blend)
    assert 0.02 < result.covered < 0.98, "a mask of everything or of nothing tests nothing"


def test_pictures_that_are_not_square(tmp_path: Path) -> None:
    """Latents of 16×24, maps of 16×24 and 8×12."""
    folder = models.save_stable_diffusion(tmp_path, version=1, size=(16, 24))
    editor = p2p.load(folder, device="cpu")
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    for options in (
        {"self_gain": 1.0},
        {"self_gain": 1.0, "self_max_size": 0.5},
        {"blend": p2p.Blend("ball", "hexagon", threshold=0.9)},
    ):
        compare(editor, pipeline, PAIRS["one token to several"], **options)


@SHARED
@given(
    kind_and_words=st.sampled_from(
        [
            ("equal token counts", "ball", "blue", ""),
            ("equal token counts", "red", "ball", "grass"),
            ("one token to several", "ball", "hexagon", ""),
            ("one token to several", "ball", "grass", "red"),
            ("one token to several", "grass", "red", "hexagon"),
            ("style", "photo", "mosaic", ""),
            ("style", "dog", "dog", "photo"),
        ]
    ),
    threshold=st.integers(40, 99).map(lambda percent: percent / 100),
    start=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    tau=st.sampled_from([0.0, 0.4, 1.0]),
    steps=st.integers(1, 5),
    guidance_scale=st.sampled_from([1.0, 4.0]),
    seed=st.integers(0, 1000),
)
def test_any_blend(
    editor: p2p.Editor,
    pipeline: StableDiffusionPipeline,
    kind_and_words: tuple[str, str, str, str],
    threshold: float,
    start: float,
    **settings: Any,
) -> None:
    kind, source, target, subtract = kind_and_words
    blend = p2p.Blend(source, target, subtract or (), threshold, start)
    compare(editor, pipeline, PAIRS[kind], blend=blend, **settings)


@pytest.mark.skipif(
    not (miniworld.MODEL / "model_index.json").exists(), reason="the mini world is not trained yet"
)
@pytest.mark.parametrize(
    ("pair", "sampler"),
    [
        (PromptPair((same("a photo of a"), change("red", "blue"), same("ball on grass by day"))), "ddim"),
        (
            PromptPair((same("a photo of a red"), change("ball", "house"), same("on sand at sunset"))),
            "euler_ancestral",
        ),
        (PromptPair((same("a"), change("photo", "pencil drawing"), same("of a red ball on snow"))), "ddim"),
        (
            PromptPair((same("a mosaic of a red tree"), change("", "and a white boat"), same("on water"))),
            "ddim",
        ),
        (
            PromptPair((same("a photo of a"), change("purple", "red"), same("star on lava by day"))),
            "euler_ancestral",
        ),
    ],
)
def test_mini_world(
    mini_world: tuple[p2p.Editor, StableDiffusionPipeline], pair: PromptPair, sampler: str
) -> None:
    compare(*mini_world, pair, sampler=sampler, steps=8, guidance_scale=3.0)


@pytest.fixture(scope="module")
def mini_world() -> tuple[p2p.Editor, StableDiffusionPipeline]:
    """The trained models: maps with something in them."""
    return p2p.load(miniworld.MODEL, device="cpu", dtype="fp32"), StableDiffusionPipeline.from_pretrained(
        miniworld.MODEL, dtype=torch.float32
    )
