from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from p2p.attention import PLAIN
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
