"""Stable Diffusion 3 against its own pipeline, plain and with materialised maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from diffusers.models.attention_processor import JointAttnProcessor2_0
from torch import Tensor

import p2p
from tests import models
from tests.oracle import pipelines
from tests.oracle.inversion import direct_flow_edit, drawn_image
from tests.oracle.joint import NaiveJointAttention
from tests.oracle.naive import NaiveEdit

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass and sand"
STEPS = 5


@pytest.fixture(scope="module", params=["3", "3.5", "3.5 without T5"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    version, *less = request.param.split(" ")
    return models.save_stable_diffusion_3(tmp_path_factory.mktemp("sd3"), version, t5=not less)


@pytest.fixture(scope="module")
def editor(folder: Path) -> p2p.Editor:
    return p2p.load(folder, device="cpu")


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> StableDiffusion3Pipeline:
    less = {} if (folder / "text_encoder_3").is_dir() else {"text_encoder_3": None, "tokenizer_3": None}
    pipeline = StableDiffusion3Pipeline.from_pretrained(folder, **less)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def noise(seed: int) -> Tensor:
    return torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed))[0]


def sequence(pipeline: StableDiffusion3Pipeline) -> dict[str, int]:
    return {"max_sequence_length": 256 if pipeline.text_encoder_3 is None else models.T5_TOKENS}


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_source_and_tau_0_are_plain_generations(
    editor: p2p.Editor, pipeline: StableDiffusion3Pipeline, guidance_scale: float
) -> None:
    sweep = editor.sweep(
        SOURCE,
        TARGET,
        taus=(0.0,),
        steps=STEPS,
        guidance_scale=guidance_scale,
        sampler="flow_match_euler",
        seed=3,
    )
    pipeline.transformer.set_attn_processor(JointAttnProcessor2_0())
    for prompt, latents, image in (
        (SOURCE, sweep.source_latents, sweep.source),
        (TARGET, sweep.edit_latents[0], sweep.edits[0]),
    ):
        settings: dict[str, Any] = {
            "num_inference_steps": STEPS,
            "guidance_scale": guidance_scale,
            **sequence(pipeline),
        }
        expected = pipeline(prompt, latents=noise(3)[None], output_type="latent", **settings).images[0]
        assert torch.allclose(latents, expected, atol=1e-4)
        exact = pipeline(prompt, latents=noise(3)[None], output_type="np", **settings).images[0] * 255
        assert np.abs(image - exact).max() < 0.51
    assert (sweep.source_latents - sweep.edit_latents[0]).abs().max() > 1e-3, "the prompt has to matter"


def columns(pipeline: StableDiffusion3Pipeline) -> tuple[dict[int, list[tuple[int, float]]], list[int]]:
    """Where each text column of the edit comes from, in both tokenizers' stretches, and where "grass" is."""
    found: dict[int, list[tuple[int, float]]] = {}
    grass = []
    start = 0
    for tokenizer, first, window in (
        (pipeline.tokenizer, 1, models.TOKENS),
        (pipeline.tokenizer_3, 0, models.T5_TOKENS),
    ):
        if tokenizer is None:
            return found | {j: [(j, 1.0)] for j in range(start, start + 256)}, grass
        m, i, j = len(tokenizer.tokenize("hexagon")), start + first, start + first
        found |= {start: [(start, 1.0)], j: [(i, 1.0)], j + 1: [(i + 1, 1.0)]}
        found |= {j + 2 + k: [(i + 2, 1 / m)] for k in range(m)}
        found |= {j + 2 + m: [(i + 3, 1.0)], j + 3 + m: [(i + 4, 1.0)]}
        grass.append(j + 3 + m)
        found[j + 6 + m] = [(i + 5, 1.0)]
        found |= {k: [(k, 1.0)] for k in range(j + 7 + m, start + window)}
        start += window
    return found, grass


@pytest.mark.parametrize(
    ("cross_gain", "self_gain", "guidance_scale", "unconditional"),
    [(1.0, 0.5, 4.0, False), (1.0, 0.0, 1.0, False), (0.0, 1.0, 4.0, True), (1.0, 1.0, 1.0, False)],
)
def test_edits_are_those_on_maps(
    editor: p2p.Editor,
    pipeline: StableDiffusion3Pipeline,
    cross_gain: float,
    self_gain: float,
    guidance_scale: float,
    unconditional: bool,
) -> None:
    sweep = editor.sweep(
        SOURCE,
        TARGET,
        taus=(0.2, 0.6),
        steps=STEPS,
        guidance_scale=guidance_scale,
        sampler="flow_match_euler",
        seed=3,
        cross_gain=cross_gain,
        self_gain=self_gain,
        reweight={"grass": 2.0},
        inject_unconditional=unconditional,
    )
    found, grass = columns(pipeline)
    edit = NaiveEdit(
        found,
        cross_steps=int(3 * cross_gain),
        self_steps={0.0: 0, 0.5: 2, 1.0: 3}[self_gain],
        weights=dict.fromkeys(grass, 2.0),
        unconditional=unconditional,
    )
    attention = NaiveJointAttention(edit, editor.family.window)
    pipeline.transformer.set_attn_processor(attention)
    expected = pipelines.generate(
        pipeline,
        attention,
        noise(3),
        STEPS,
        prompt=[SOURCE, TARGET],
        guidance_scale=guidance_scale,
        **sequence(pipeline),
    )
    assert torch.allclose(sweep.source_latents, expected[0], atol=1e-4)
    assert torch.allclose(sweep.edit_latents[1], expected[1], atol=1e-4)
    assert (sweep.edit_latents[0] - sweep.edit_latents[1]).abs().max() > 1e-4


def test_tau_1_with_the_same_prompt_is_the_source(editor: p2p.Editor) -> None:
    sweep = editor.sweep(
        SOURCE, SOURCE, taus=(1.0, 0.5, 0.0), self_gain=1.0, steps=3, sampler="flow_match_euler"
    )
    for edit in sweep.edit_latents:
        assert torch.allclose(edit, sweep.source_latents, atol=1e-4)


def test_prompts(folder: Path, editor: p2p.Editor) -> None:
    prompts = p2p.load_tokenizer(folder)
    assert (prompts.count("a red ball"), prompts.limit) == (5, models.TOKENS)
    ball = editor.family.tokenize("a red ball").words[2]
    assert ball.tokens == ((3,) if editor.family.t5 is None else (3, models.TOKENS + 2))
    with pytest.raises(p2p.P2PError, match="has 42 tokens, the model takes 20"):
        editor.sweep(SOURCE, "a " * 40, sampler="flow_match_euler")


@pytest.mark.parametrize("length", [None, 7, 12])
def test_long_prompts_are_cut_as_by_the_pipeline(
    folder: Path, pipeline: StableDiffusion3Pipeline, length: int | None
) -> None:
    """T5 is given what fits into its own window, whatever CLIP's window is, and words there have tokens."""
    family = p2p.load(folder, device="cpu", max_sequence_length=length).family
    t5 = length or sequence(pipeline)["max_sequence_length"]
    prompt = "a red ball on grass and a hexagon on sand with a blue star under a white tree by a storm"
    assert len(pipeline.tokenizer(prompt).input_ids) > models.TOKENS
    expected, _, pooled, _ = pipeline.encode_prompt(
        prompt, None, None, do_classifier_free_guidance=False, max_sequence_length=t5
    )
    with torch.no_grad():
        text, ours_pooled = family.encode(prompt, cut=True)
    assert text.shape == (models.TOKENS + t5, 96)
    assert torch.allclose(text, expected[0], atol=1e-5)
    assert torch.allclose(ours_pooled, pooled[0], atol=1e-5)
    tokens = [token for word in family.tokenize(prompt, cut=True).words for token in word.tokens]
    of_t5 = [token for token in tokens if token >= models.TOKENS]
    if pipeline.text_encoder_3 is None:
        assert not of_t5
    else:
        whole = len(pipeline.tokenizer_3(prompt).input_ids)
        assert sorted(of_t5) == [models.TOKENS + k for k in range(min(t5, whole) - 1)]


def test_t5_takes_words_after_the_window_of_clip(tmp_path: Path) -> None:
    """A word that CLIP's window lacks is edited in T5's."""
    config = models.save_stable_diffusion_3(tmp_path) / "tokenizer_3" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_max_length": 60}))
    editor = p2p.load(tmp_path, device="cpu", max_sequence_length=40)
    start = "a red ball on grass and a blue box on sand by a white tree in a storm"
    words = editor.family.tokenize(f"{start} with a star", cut=True).words
    (star,) = (word for word in words if word.text == "star")
    assert min(star.tokens) > models.TOKENS
    plain, weighted = (
        editor.sweep(
            start,
            f"{start} with a star",
            (0.5,),
            steps=3,
            sampler="flow_match_euler",
            too_long="truncate",
            reweight={"star": weight},
        )
        for weight in (1.0, 3.0)
    )
    assert (plain.edit_latents - weighted.edit_latents).abs().max() > 1e-4


def test_samplers_of_other_models_do_not_fit(editor: p2p.Editor) -> None:
    with pytest.raises(p2p.P2PError, match="'ddim' does not fit a model that predicts a flow"):
        editor.sweep(SOURCE, TARGET)


@pytest.mark.parametrize("tau", [0.2, 0.6])
def test_edits_of_an_image_are_those_on_maps(
    editor: p2p.Editor, pipeline: StableDiffusion3Pipeline, tau: float
) -> None:
    """Direct inversion of a flow. The naive source is not held to its trajectory, and stays on it."""
    image = drawn_image()
    sweep = editor.sweep(
        SOURCE,
        TARGET,
        taus=(tau, 1.0),
        steps=STEPS,
        guidance_scale=4.0,
        sampler="flow_match_euler",
        image=image,
    )
    found, _ = columns(pipeline)
    attention = NaiveJointAttention(
        NaiveEdit(found, cross_steps=int(tau * STEPS), self_steps=int(0.5 * tau * STEPS + 0.5)),
        editor.family.window,
    )
    expected = direct_flow_edit(
        pipeline, attention, image, (SOURCE, TARGET), STEPS, 4.0, **sequence(pipeline)
    )
    latents = editor.family.decoder.encode(image)
    assert torch.equal(sweep.source_latents, latents)
    assert torch.allclose(expected[0], latents, atol=1e-4)
    assert torch.allclose(sweep.edit_latents[0], expected[1], atol=1e-4)
    assert (expected[1] - latents).abs().max() > 1e-2
    assert sweep.rows == STEPS + STEPS + 2 * (STEPS + STEPS - int(0.5 * tau * STEPS + 0.5))
