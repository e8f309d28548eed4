from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from p2p.families.vae_decoder import Decoder
from tests import models


@pytest.fixture
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return models.autoencoder().eval()


def latents(seed: int, count: int = 3) -> torch.Tensor:
    return torch.randn((count, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("normalised", [False, True])
def test_images_are_scaled_back_and_rounded(vae: AutoencoderKL, normalised: bool) -> None:
    x = latents(1)
    if normalised:
        mean, std = [0.5, -1.0, 0.0, 2.0], [1.0, 2.0, 0.5, 3.0]
        vae.register_to_config(latents_mean=mean, latents_std=std, scaling_factor=0.3)
        unscaled = torch.stack([x[:, k] * std[k] / 0.3 + mean[k] for k in range(4)], 1)
    else:
        vae.register_to_config(shift_factor=0.1, scaling_factor=0.2)
        unscaled = x / 0.2 + 0.1
    exact = (vae.decode(unscaled).sample / 2 + 0.5).clamp(0, 1) * 255
    images = Decoder(vae)(x)
    assert images.dtype == np.uint8
    assert images.shape == (3, 16, 16, 3)
    assert np.abs(images - exact.permute(0, 2, 3, 1).numpy()).max() <= 0.5 + 1e-4


class SmallMemory:
    """An autoencoder with room for so many latents, which counts those of each call."""

    def __init__(self, vae: AutoencoderKL, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        decode = vae.decode

        def limited(latents: torch.Tensor, **settings: Any) -> Any:
            self.sizes.append(len(latents))
            if len(latents) > room:
                raise torch.OutOfMemoryError("no room")
            return decode(latents, **settings)

        monkeypatch.setattr(vae, "decode", limited)


@torch.no_grad()
def test_short_memory_halves_slices_and_decodes_nothing_twice(
    vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Decoder(vae)(latents(3, 11))
    memory, decoder = SmallMemory(vae, 3, monkeypatch), Decoder(vae)
    decoder.at_once = 8
    assert np.abs(decoder(latents(3, 11)).astype(int) - expected).max() <= 1
    assert memory.sizes == [8, 4, 2, 2, 2, 2, 2, 1]
    memory.sizes.clear()
    decoder(latents(3, 4))
    assert memory.sizes == [2, 2], "what there is room for is not forgotten"


@torch.no_grad()
def test_memory_for_not_even_one(vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch) -> None:
    SmallMemory(vae, 0, monkeypatch)
    with pytest.raises(torch.OutOfMemoryError):
        Decoder(vae)(latents(3))


@torch.no_grad()
def test_images_are_the_same_bits_in_any_company(vae: AutoencoderKL) -> None:
    decoder, x = Decoder(vae), latents(4, 9)
    together = decoder(x)
    for size in (1, 2, 5):
        assert np.array_equal(np.concatenate([decoder(part) for part in x.split(size)]), together)


def overflowing(vae: AutoencoderKL) -> torch.Tensor:
    """Latents of which the second alone overflows in an autoencoder in half precision, which it becomes."""
    vae.post_quant_conv.weight.mul_(3e4)
    x = latents(2) * torch.tensor([0.01, 1.0, 0.01])[:, None, None, None]
    vae.half()
    decoded = vae.decode(x.half() / vae.config.scaling_factor).sample
    assert decoded.isfinite().flatten(1).all(1).tolist() == [True, False, True]
    return x


@torch.no_grad()
def test_what_overflows_in_half_precision_is_decoded_in_single(vae: AutoencoderKL) -> None:
    x = overflowing(vae)
    single = Decoder(copy.deepcopy(vae).float())(x)
    decoder = Decoder(vae)
    decoder.at_once = 3
    images = decoder(x)
    assert np.array_equal(images[1], single[1])
    assert np.array_equal(decoder(x[:1]), images[:1]), "and the others are not, before or after"
    assert np.abs(images.astype(int) - single).max() <= 8
    assert vae.dtype == torch.float16


@torch.no_grad()
def test_an_overflowing_autoencoder_is_in_single_from_the_start(vae: AutoencoderKL) -> None:
    x = overflowing(vae)
    single = Decoder(copy.deepcopy(vae).float())(x)
    assert np.array_equal(Decoder(vae, upcast=True)(x), single)
    assert Decoder(copy.deepcopy(vae).bfloat16(), upcast=True).vae.dtype == torch.bfloat16


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_image_is_encoded_to_the_scaled_mean(vae: AutoencoderKL, dtype: torch.dtype) -> None:
    """In single precision, whatever that of the weights is; decoding takes the scaling back."""
    mean, std = [0.5, -1.0, 0.0, 2.0], [1.0, 2.0, 0.5, 3.0]
    vae.register_to_config(latents_mean=mean, latents_std=std, scaling_factor=0.3)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    decoder = Decoder(vae.to(dtype))
    encoded = decoder.encode(image)
    assert encoded.dtype == torch.float32
    assert vae.dtype == dtype
    pixels = torch.from_numpy(image).float().permute(2, 0, 1)[None] / 255 * 2 - 1
    exact = vae.float().encode(pixels).latent_dist.mean[0]
    unscaled = torch.stack([encoded[k] * std[k] / 0.3 + mean[k] for k in range(4)])
    assert torch.allclose(unscaled, exact, atol=1e-5)
