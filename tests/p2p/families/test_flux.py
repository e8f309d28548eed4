"""FLUX against its own pipeline, plain and with materialised maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline
from diffusers.models.transformers.transformer_flux import FluxAttnProcessor
from torch import Tensor

import p2p
from p2p.families.flux import pack, unpack
from p2p.inversion.image_inversion import ImageInversions
from p2p.sweep.denoising_step import advance
from p2p.sweep.inversion_barrier import invert
from p2p.sweep.sweep_plan import make_plan
from p2p.sweep.trajectory import Trajectory
from tests import models
from tests.oracle import pipelines
from tests.oracle.inversion import drawn_image
from tests.oracle.joint import NaiveJointAttention
from tests.oracle.naive import NaiveEdit

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass and sand"
STEPS = 5
RUN: dict[str, Any] = {"sampler": "flow_match_euler", "seed": 3, "steps": STEPS}


@pytest.fixture(scope="module", params=[True, False], ids=["dev", "schnell"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_flux(tmp_path_factory.mktemp("flux"), guidance=request.param)


@pytest.fixture(scope="module")
def editor(folder: Path) -> p2p.Editor:
    return p2p.load(folder, device="cpu")


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> FluxPipeline:
    pipeline = FluxPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def noise(seed: int) -> Tensor:
    return torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("guidance_scale", [1.0, 3.5])
def test_source_and_tau_0_are_plain_generations(
    editor: p2p.Editor, pipeline: FluxPipeline, guidance_scale: float
) -> None:
    sweep = editor.sweep(SOURCE, TARGET, taus=(0.0,), guidance_scale=guidance_scale, **RUN)
    pipeline.transformer.set_attn_processor(FluxAttnProcessor())
    for prompt, latents, image in (
        (SOURCE, sweep.source_latents, sweep.source),
        (TARGET, sweep.edit_latents[0], sweep.edits[0]),
    ):
        settings: dict[str, Any] = {
            "height": 16,
            "width": 16,
            "num_inference_steps": STEPS,
            "guidance_scale": guidance_scale,
            "max_sequence_length": models.T5_TOKENS,
        }
        expected = pipeline(prompt, latents=pack(noise(3)), output_type="latent", **settings).images
        assert torch.allclose(pack(latents[None]), expected, atol=1e-4)
        # The pipeline draws what a seed gives.
        drawn = pipeline(prompt, generator=torch.manual_seed(3), output_type="np", **settings).images[0] * 255
        assert np.abs(image - drawn).max() < 0.51
    assert (sweep.source_latents - sweep.edit_latents[0]).abs().max() > 1e-3, "the prompt has to matter"
    assert sweep.rows == 2 * STEPS, "guidance is embedded and doubles nothing"


@pytest.mark.parametrize(("cross_gain", "self_gain"), [(1.0, 0.5), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("pooled", ["own", "source"])
def test_edits_are_those_on_maps(
    editor: p2p.Editor, pipeline: FluxPipeline, cross_gain: float, self_gain: float, pooled: str
) -> None:
    sweep = editor.sweep(
        SOURCE,
        TARGET,
        taus=(0.2, 0.6),
        guidance_scale=3.0,
        cross_gain=cross_gain,
        self_gain=self_gain,
        reweight={"grass": 2.0},
        pooled=pooled,
        **RUN,
    )
    m = len(pipeline.tokenizer_2.tokenize("hexagon"))
    found: dict[int, list[tuple[int, float]]] = {0: [(0, 1.0)], 1: [(1, 1.0)]}
    found |= {2 + k: [(2, 1 / m)] for k in range(m)}
    found |= {2 + m: [(3, 1.0)], 3 + m: [(4, 1.0)], 6 + m: [(5, 1.0)]}
    found |= {j: [(j, 1.0)] for j in range(7 + m, models.T5_TOKENS)}
    edit = NaiveEdit(
        found,
        cross_steps=int(3 * cross_gain),
        self_steps={0.0: 0, 0.5: 2, 1.0: 3}[self_gain],
        weights={3 + m: 2.0},
    )
    attention = NaiveJointAttention(edit, models.T5_TOKENS)
    pipeline.transformer.set_attn_processor(attention)
    embeds, pooleds, _ = pipeline.encode_prompt([SOURCE, TARGET], max_sequence_length=models.T5_TOKENS)
    if pooled == "source":
        pooleds = pooleds[:1].expand(2, -1)
    expected = pipelines.generate(
        pipeline,
        attention,
        pack(noise(3))[0],
        STEPS,
        prompt_embeds=embeds,
        pooled_prompt_embeds=pooleds,
        guidance_scale=3.0,
        height=16,
        width=16,
    )
    expected = unpack(expected, (4, 8, 8))
    assert torch.allclose(sweep.source_latents, expected[0], atol=1e-4)
    assert torch.allclose(sweep.edit_latents[1], expected[1], atol=1e-4)
    assert (sweep.edit_latents[0] - sweep.edit_latents[1]).abs().max() > 1e-4


def test_guidance_that_is_given_to_the_model_has_no_interval(editor: p2p.Editor) -> None:
    with pytest.raises(
        p2p.P2PError, match="guidance_interval does not work with a model that embeds the guidance"
    ):
        editor.sweep(SOURCE, TARGET, guidance_interval=(0.3, 5.0), **RUN)
    with pytest.raises(p2p.P2PError, match="negative_prompt does not work with a model that embeds"):
        editor.sweep(SOURCE, TARGET, negative_prompt="a dog", **RUN)


def test_guidance_is_given_to_the_model_that_takes_it(editor: p2p.Editor) -> None:
    low, high = (
        editor.sweep(SOURCE, TARGET, taus=(0.5,), guidance_scale=scale, **RUN).edit_latents
        for scale in (1.0, 7.0)
    )
    taken = editor.family.network.config.guidance_embeds
    assert (not torch.equal(low, high)) == taken


def test_packing_is_the_pipelines() -> None:
    latents = torch.randn(2, 4, 8, 6)
    assert torch.equal(pack(latents), FluxPipeline._pack_latents(latents, 2, 4, 8, 6))
    assert torch.equal(unpack(pack(latents), (4, 8, 6)), latents)


def test_prompts(folder: Path, editor: p2p.Editor) -> None:
    """T5's window counts; CLIP, which gives no tokens, is cut without a word."""
    prompts = p2p.load_tokenizer(folder)
    assert (prompts.count("a red ball"), prompts.limit) == (4, models.T5_TOKENS)
    long = "a " * (models.TOKENS + 2)
    assert editor.sweep(long, long, taus=(0.0,), **RUN).edits.shape == (1, 16, 16, 3)
    with pytest.raises(p2p.P2PError, match="has 41 tokens, the model takes 24"):
        editor.sweep(SOURCE, "a " * 40, **RUN)


def test_t5_s_window_may_be_shorter(folder: Path, pipeline: FluxPipeline) -> None:
    editor, prompt = p2p.load(folder, device="cpu", max_sequence_length=9), f"{SOURCE} under a white cone"
    expected, _, _ = pipeline.encode_prompt(prompt, max_sequence_length=9)
    with torch.no_grad():
        assert torch.allclose(editor.family.encode(prompt, cut=True)[0], expected[0], atol=1e-5)
    assert editor.family.window == p2p.load_tokenizer(folder, max_sequence_length=9).limit == 9
    with pytest.raises(p2p.P2PError, match="the model takes 9"):
        editor.sweep(SOURCE, prompt, **RUN)
    editor.sweep(SOURCE, prompt, too_long="truncate", **RUN)


def test_layers_of_one_size_are_all_injected_or_none(editor: p2p.Editor) -> None:
    """Tokens of 2×2 latents: the maps have half of the latents' side."""
    all_layers, limited = (
        editor.sweep(SOURCE, TARGET, self_max_size=size, **RUN).edit_latents for size in (None, 0.5)
    )
    assert torch.equal(all_layers, limited)
    with pytest.raises(
        p2p.P2PError,
        match=r"self_max_size = 0.25 leaves no layer of the model to inject into; it must be 0.5 or more",
    ):
        editor.sweep(SOURCE, TARGET, self_max_size=0.25, **RUN)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.5])
def test_an_image_is_reconstructed_exactly(editor: p2p.Editor, guidance_scale: float) -> None:
    """Under the guidance of the inversion the source's own steps lead to the image, to which it is held besides."""
    image = drawn_image()
    request = p2p.SweepRequest(
        SOURCE,
        TARGET,
        (0.0, 0.6),
        steps=STEPS,
        sampler="flow_match_euler",
        guidance_scale=guidance_scale,
        image=image,
    )
    sweep = editor.sweep_many([request])[0]
    latents = editor.family.decoder.encode(image)
    assert torch.equal(sweep.source_latents, latents)
    assert sweep.edit_latents.isfinite().all()
    with torch.inference_mode():
        plan = ImageInversions(editor.family).attach(make_plan(0, request, editor.family, editor._samplers()))
        plan = invert(editor.family, plan)
        assert plan.stored is not None
        source = Trajectory(replace(plan, stored=None), plan.starting, 0)
        for step in range(STEPS):
            ((source,),) = advance(editor.family, [(source,)])
            assert torch.allclose(source.state.x, plan.stored[step + 1], atol=1e-4)


def test_inversions_by_the_unconditional_prompt_are_refused(editor: p2p.Editor) -> None:
    for inversion in ("null_text", "negative_prompt"):
        with pytest.raises(p2p.P2PError, match=f"inversion='{inversion}' does not work with a model that"):
            editor.sweep(SOURCE, TARGET, image=drawn_image(), inversion=inversion, **RUN)
