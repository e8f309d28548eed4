"""Variants of weights, and the memory that a model needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline

import p2p
from p2p.models.weights import HEADROOM, check_memory, find_variant, variant_of, weight_bytes
from tests import models

GIB = 2**30
REQUEST = p2p.SweepRequest(
    "a red ball on grass", "a blue hexagon on grass", (0.5,), steps=2, guidance_scale=3.0
)


@pytest.fixture(scope="module")
def half_folder(sd1_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has ``*.fp16.safetensors`` alone."""
    folder = tmp_path_factory.mktemp("half") / "model"
    pipeline = StableDiffusionPipeline.from_pretrained(sd1_folder, torch_dtype=torch.float16)
    pipeline.save_pretrained(folder, variant="fp16")
    return folder


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("model.safetensors", None),
        ("diffusion_pytorch_model-00001-of-00003.safetensors", None),
        ("model.fp16.safetensors", "fp16"),
        ("model.bf16-00001-of-00002.safetensors", "bf16"),
    ],
)
def test_variant_in_a_name(name: str, variant: str | None) -> None:
    assert variant_of(Path(name)) == variant


def test_a_folder_of_half_precision_loads_by_itself(half_folder: Path, sd1_folder: Path) -> None:
    assert find_variant(half_folder) == "fp16"
    assert find_variant(sd1_folder) is None
    sweep = p2p.load(half_folder, device="cpu").sweep_many([REQUEST])[0]
    expected = p2p.load(sd1_folder, device="cpu").sweep_many([REQUEST])[0]
    assert torch.allclose(sweep.edit_latents, expected.edit_latents, atol=0.05)


def test_parts_of_different_variants_are_refused(half_folder: Path, tmp_path: Path) -> None:
    folder = models.save_stable_diffusion(tmp_path / "model", 1)
    for part, variant in (("unet", "fp16"), ("vae", "bf16")):
        (file,) = (folder / part).glob("*.safetensors")
        file.rename(file.with_suffix(f".{variant}.safetensors"))
    with pytest.raises(
        p2p.ModelError, match=r"different variants \(vae: bf16; unet: fp16\)|unet: fp16; vae: bf16"
    ):
        find_variant(folder)


def test_bytes_are_those_of_the_loaded_weights(sd1_folder: Path) -> None:
    editor = p2p.load(sd1_folder, device="cpu")
    sizes = weight_bytes(sd1_folder, torch.float32)
    assert sizes["unet"] == sum(weight.nbytes for weight in editor.family.network.parameters())
    assert sizes.keys() == {"unet", "vae", "text_encoder"}
    halves = weight_bytes(sd1_folder, torch.bfloat16)
    assert halves["unet"] * 2 == sizes["unet"]


def test_a_model_that_does_not_fit_says_what_would() -> None:
    """SD3.5 large: 16 GiB of denoiser, 11 of text encoders; then a FLUX that offloading does not help."""
    sd3 = {"transformer": 16 * GIB, "text_encoder_3": 11 * GIB}
    check_memory(sd3, 27 * GIB + HEADROOM, offload=False)
    with pytest.raises(p2p.ModelError) as refused:
        check_memory(sd3, 24 * GIB, offload=False)
    assert str(refused.value) == (
        "the model needs 29.0 GiB of memory (11.0 GiB of it for text encoders), and the GPU has 24.0 GiB free; "
        "model.offload=true needs 18.0 GiB"
    )
    check_memory(sd3, 24 * GIB, offload=True)
    flux = {"transformer": 23 * GIB, "text_encoder_2": 9 * GIB}
    with pytest.raises(p2p.ModelError, match=r"24.0 GiB free; take a smaller model or a larger GPU"):
        check_memory(flux, 24 * GIB, offload=True)
