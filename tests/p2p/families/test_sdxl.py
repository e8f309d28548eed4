"""Stable Diffusion XL against its own pipeline, plain and with materialised maps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor

import p2p
from tests import models
from tests.oracle import naive, pipelines

SOURCE, TARGET = "a red ball on grass", "a blue hexagon on grass"
STEPS, TAUS = 5, (0.2, 0.6)


@pytest.fixture(scope="module", params=[True, False], ids=["zeros", "empty prompt"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save_stable_diffusion_xl(tmp_path_factory.mktemp("sdxl"), force_zeros=request.param)


@pytest.fixture(scope="module")
def editor(folder: Path) -> p2p.Editor:
    return p2p.load(folder, device="cpu")


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> StableDiffusionXLPipeline:
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def noise(seed: int) -> Tensor:
    return torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(seed))[0]


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_source_and_tau_0_are_plain_generations(
    editor: p2p.Editor, pipeline: StableDiffusionXLPipeline, guidance_scale: float
) -> None:
    sweep = editor.sweep(
        SOURCE, TARGET, taus=(0.0,), steps=STEPS, guidance_scale=guidance_scale, sampler="euler", seed=3
    )
    pipeline.unet.set_attn_processor(AttnProcessor2_0())
    for prompt, latents, image in (
        (SOURCE, sweep.source_latents, sweep.source),
        (TARGET, sweep.edit_latents[0], sweep.edits[0]),
    ):
        settings: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": guidance_scale}
        expected = pipeline(prompt, latents=noise(3)[None], output_type="latent", **settings).images[0]
        assert torch.allclose(latents, expected, atol=1e-4)
        exact = pipeline(prompt, latents=noise(3)[None], output_type="np", **settings).images[0] * 255
        assert np.abs(image - exact).max() < 0.51


@pytest.mark.parametrize("pooled", ["own", "source"])
@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_edits_are_those_on_maps(
    editor: p2p.Editor, pipeline: StableDiffusionXLPipeline, pooled: str, guidance_scale: float
) -> None:
    sweep = editor.sweep(
        SOURCE,
        TARGET,
        taus=TAUS,
        steps=STEPS,
        guidance_scale=guidance_scale,
        sampler="euler",
        seed=3,
        pooled=pooled,
        reweight={"grass": 2.0},
    )
    pieces = len(pipeline.tokenizer.tokenize("hexagon"))
    words = {0: 0, 1: 1, 2: 2} | {3 + pieces + k: 4 + k for k in range(3)}
    columns: dict[int, list[tuple[int, float]]] = {j: [(i, 1.0)] for j, i in words.items()}
    columns |= {3 + k: [(3, 1 / pieces)] for k in range(pieces)}
    columns |= {j: [(j, 1.0)] for j in range(6 + pieces, models.TOKENS)}
    edit = naive.NaiveEdit(columns, cross_steps=3, self_steps=2, weights={4 + pieces: 2.0})
    attention = naive.NaiveAttention(edit)
    attention.seen.append([])
    pipeline.unet.set_attn_processor(attention)
    embeds, _, pooleds, _ = pipeline.encode_prompt([SOURCE, TARGET], do_classifier_free_guidance=False)
    empty, _, empty_pooled, _ = pipeline.encode_prompt(["", ""], do_classifier_free_guidance=False)
    if pipeline.config.force_zeros_for_empty_prompt:
        empty, empty_pooled = torch.zeros_like(empty), torch.zeros_like(empty_pooled)
    if pooled == "source":
        pooleds = pooleds[:1].expand(2, -1)
    expected = pipelines.generate(
        pipeline,
        attention,
        noise(3),
        STEPS,
        prompt_embeds=embeds,
        pooled_prompt_embeds=pooleds,
        negative_prompt_embeds=empty,
        negative_pooled_prompt_embeds=empty_pooled,
        guidance_scale=guidance_scale,
    )
    assert torch.allclose(sweep.source_latents, expected[0], atol=1e-4)
    assert torch.allclose(sweep.edit_latents[1], expected[1], atol=1e-4)


def test_holding_the_pooled_embedding_holds_the_edit(editor: p2p.Editor) -> None:
    """With all attention held as well, only the words' values are left to edit with."""
    own, held = (
        editor.sweep(SOURCE, TARGET, taus=(1.0,), self_gain=1.0, steps=4, sampler="euler", pooled=pooled)
        for pooled in ("own", "source")
    )
    assert torch.equal(own.source_latents, held.source_latents)
    assert (own.edit_latents - held.edit_latents).abs().max() > 1e-3


def test_few_steps_without_guidance(editor: p2p.Editor) -> None:
    """As SDXL-Turbo is run: one row for the source and one for each edit."""
    sweep = editor.sweep(
        SOURCE, TARGET, taus=(0.0, 1.0), steps=2, guidance_scale=0.0, sampler="euler_ancestral"
    )
    assert sweep.rows == 2 * 3
    assert sweep.edits.shape == (2, 16, 16, 3)


def test_prompts(folder: Path, editor: p2p.Editor) -> None:
    prompts = p2p.load_tokenizer(folder)
    assert (prompts.count("a red ball"), prompts.limit) == (5, models.TOKENS)
    assert editor.family.tokenize(TARGET) == prompts.tokenize(TARGET)
    assert editor.family.tokenize("a " * 40, cut=True) == prompts.tokenize("a " * 40, cut=True)
    with pytest.raises(p2p.P2PError, match="has 42 tokens, the model takes 20"):
        editor.sweep(SOURCE, "a " * 40)


@pytest.mark.parametrize("negative_prompt", [None, "", "a white dog"])
def test_negative_prompts_are_the_pipeline_s(
    editor: p2p.Editor, pipeline: StableDiffusionXLPipeline, negative_prompt: str | None
) -> None:
    """None is zeros, "" the encoding of the empty prompt."""
    (noise,) = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))
    common: dict[str, Any] = {"guidance_scale": 4.0, "negative_prompt": negative_prompt}
    sweep = editor.sweep(SOURCE, TARGET, (0.0,), 3, 4, sampler="euler", **common)
    pipeline.unet.set_attn_processor(AttnProcessor2_0())
    for prompt, latents in ((SOURCE, sweep.source_latents), (TARGET, sweep.edit_latents[0])):
        expected = pipeline(
            prompt, num_inference_steps=4, latents=noise[None], output_type="latent", **common
        ).images[0]
        assert torch.allclose(latents, expected, atol=1e-4)


def test_tokenizers_that_part_a_prompt_differently(tmp_path: Path) -> None:
    folder = models.save_stable_diffusion_xl(tmp_path)
    editor = p2p.load(folder, device="cpu")
    other = editor.family.clip.windows[1].tokenizer
    other.add_tokens(["hexagon"])
    with pytest.raises(p2p.P2PError, match="two tokenizers do not agree on 'a blue hexagon on grass'"):
        editor.sweep(SOURCE, TARGET)


@pytest.mark.parametrize("forced", [False, True])
def test_an_autoencoder_that_says_so_is_kept_in_single(folder: Path, tmp_path: Path, forced: bool) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "model"))
    config = copied / "vae" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "force_upcast": forced}))
    family = p2p.load(copied, device="cpu", dtype="fp16").family
    assert family.decoder.vae.dtype == (torch.float32 if forced else torch.float16)
    assert family.network.dtype == torch.float16
