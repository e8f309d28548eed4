from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from p2p.attention import PLAIN, InjectedAttention, Routing
from p2p.families.sd import StableDiffusion


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


def test_a_prompt_is_encoded_once(family: StableDiffusion) -> None:
    assert family.encode("a red ball") is family.encode("a red ball")


def test_all_attention_of_the_transformers_shares_one_processor(editor: p2p.Editor) -> None:
    processors = editor.family.unet.attn_processors.values()
    assert {id(processor) for processor in processors} == {id(editor.family.attention)}
    assert isinstance(editor.family.attention, InjectedAttention)


def test_routing_ends_with_the_call_that_fails(family: StableDiffusion) -> None:
    wrong = Routing(self_source=torch.tensor([99, 99, 99]))
    with pytest.raises(IndexError):
        family.denoise(latents(0), torch.ones(3), (torch.zeros(3, 20, 32),), wrong)
    assert family.attention.routing is PLAIN


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


def test_images_are_rounded(family: StableDiffusion) -> None:
    with torch.no_grad():
        exact = family.vae.decode(latents(1) / family.vae.config.scaling_factor).sample
    exact = ((exact / 2 + 0.5).clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()
    images = family.decode(latents(1))
    assert images.dtype == np.uint8
    assert np.abs(images - exact).max() <= 0.5 + 1e-4


def test_a_vae_that_overflows_in_half_precision_goes_on_in_single(family: StableDiffusion) -> None:
    with torch.no_grad():
        family.vae.post_quant_conv.weight.mul_(1e5)
    expected = family.decode(latents(2))
    family.vae.half()
    assert not family.vae.decode(latents(2).half() / family.vae.config.scaling_factor).sample.isfinite().all()
    images = family.decode(latents(2))
    assert np.abs(images.astype(int) - expected).max() <= 8, (
        "weights have been through half precision, images not"
    )
    assert family.vae.dtype == torch.float32
