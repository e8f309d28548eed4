from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from p2p.attention.processor import PLAIN
from p2p.families.sd import StableDiffusion
from tests import models


@pytest.fixture
def family(sd1_folder: Path) -> StableDiffusion:
    """A family of its own, for tests that change it."""
    return p2p.load(sd1_folder, device="cpu").family


def latents(seed: int, rows: int = 3) -> torch.Tensor:
    return torch.randn((rows, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


def test_prompts_are_encoded_as_the_pipeline_does(
    editor: p2p.Editor, pipeline: StableDiffusionPipeline
) -> None:
    for prompt in ("", "a red hexagon, on grass"):
        expected, _ = pipeline.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)
        (encoded,) = editor.family.encode(prompt)
        assert torch.allclose(encoded, expected[0], atol=1e-6)


def test_rows_have_timesteps_of_their_own(family: StableDiffusion) -> None:
    x, t, prompts = (
        latents(0),
        torch.tensor([900.0, 500.0, 1.0]),
        torch.stack([*family.encode("a red ball")] * 3),
    )
    with torch.inference_mode():
        together = family.denoise(x, t, (prompts,), PLAIN)
        alone = [family.denoise(x[k : k + 1], t[k : k + 1], (prompts[:1],), PLAIN)[0] for k in range(3)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@pytest.mark.parametrize("guidance_scale", [1.0, 6.0])
def test_a_consistency_model_is_given_its_guidance(tmp_path: Path, guidance_scale: float) -> None:
    folder = models.save_stable_diffusion(tmp_path, version=1, guidance=8)
    index = (folder / "model_index.json").read_text()
    editor = p2p.load(folder, device="cpu")
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    sweep = editor.sweep(
        "a red ball", "a blue ball", taus=(0.0,), seed=5, steps=3, guidance_scale=guidance_scale
    )
    assert sweep.rows == 2 * 3
    for prompt, latents in (("a red ball", sweep.source_latents), ("a blue ball", sweep.edit_latents[0])):
        expected = pipeline(
            prompt,
            num_inference_steps=3,
            guidance_scale=guidance_scale,
            generator=torch.Generator().manual_seed(5),
            output_type="latent",
        ).images[0]
        assert torch.allclose(latents, expected, atol=1e-4)
    (folder / "model_index.json").write_text(
        index.replace("StableDiffusionPipeline", "LatentConsistencyModelPipeline")
    )
    other = p2p.load(folder, device="cpu").sweep(
        "a red ball", "a blue ball", taus=(0.5,), steps=3, sampler="lcm"
    )
    assert other.edit_latents.isfinite().all()
