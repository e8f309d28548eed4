"""The contract of a family, which every built-in one keeps."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import p2p
from p2p.attention.routing import PLAIN
from p2p.families.family import Family, FamilyModule
from tests import models

PROMPT = "a red hexagon, on grass"
MODELS: dict[str, Callable[[Path], Path]] = {
    "sd": lambda folder: models.save_stable_diffusion(folder, version=1),
    "sdxl": models.save_stable_diffusion_xl,
    "sd3": models.save_stable_diffusion_3,
    "flux": models.save_flux,
}


@pytest.fixture(scope="module", params=MODELS)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    return p2p.load(MODELS[request.param](tmp_path_factory.mktemp(request.param)), device="cpu").family


def conditioning(family: Family, rows: int) -> tuple[torch.Tensor, ...]:
    parts = family.encode(PROMPT)
    if family.embeds_guidance:
        parts = (*parts, torch.tensor(3.0))
    return tuple(torch.stack([part] * rows) for part in parts)


@pytest.mark.parametrize("name", MODELS)
def test_a_module_has_all_that_the_loader_needs(name: str) -> None:
    module = importlib.import_module(f"p2p.families.{name}")
    assert all(hasattr(module, part) for part in (*FamilyModule.__annotations__, "load"))
    assert module.HALF in (torch.float16, torch.bfloat16)


def test_a_family_has_every_part_of_the_interface(family: Family) -> None:
    parts = [name for name in vars(Family) if not name.startswith("_")]
    assert len(parts) >= 14
    assert [name for name in parts if not hasattr(family, name)] == []


@torch.inference_mode()
def test_positions_of_the_text_are_those_of_its_words(family: Family) -> None:
    tokenized, encoded = family.tokenize(PROMPT), family.encode(PROMPT)
    assert family.window == tokenized.window == len(encoded[0])
    assert [word.text for word in tokenized.words] == ["a", "red", "hexagon", ",", "on", "grass"]
    empty = family.unconditional()
    assert [part.shape for part in empty] == [part.shape for part in encoded]
    assert {part.dtype for part in (*empty, *encoded)} == {family.dtype}
    assert family.tokenize("a " * 400, cut=True).window == len(family.encode("a " * 400, cut=True)[0])
    assert family.tokenize(PROMPT, cut=True) == tokenized


@torch.inference_mode()
def test_rows_of_the_denoiser_are_independent(family: Family) -> None:
    x = torch.randn((3, *family.latent_shape), generator=torch.Generator().manual_seed(0))
    t, text = torch.tensor([900.0, 500.0, 1.0]), conditioning(family, 3)
    together = family.denoise(x, t, text, PLAIN)
    assert (together.shape, together.dtype) == (x.shape, torch.float32)
    for k in range(3):
        alone = family.denoise(x[k : k + 1], t[k : k + 1], tuple(part[:1] for part in text), PLAIN)
        assert torch.allclose(together[k], alone[0], atol=1e-5)


@torch.inference_mode()
def test_images_have_the_resolution(family: Family) -> None:
    latents = torch.zeros(2, *family.latent_shape)
    assert family.decoder(latents).shape == (2, family.resolution, family.resolution, 3)
    assert family.latent_shape[1] * family.decoder.pixels_per_latent == family.resolution


def test_maps_between_pixels_and_text_have_sizes_of_the_latents(family: Family) -> None:
    assert family.map_layers
    for (height, width), layers in family.map_layers.items():
        assert height <= family.latent_shape[1]
        assert width <= family.latent_shape[2]
        assert layers >= 1
