from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from p2p.families.decoding import Decoder
from tests import models


@pytest.fixture
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return models.autoencoder().eval()


def latents(seed: int) -> torch.Tensor:
    return torch.randn((3, 4, 8, 8), generator=torch.Generator().manual_seed(seed))


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


@torch.no_grad()
def test_an_autoencoder_that_overflows_in_half_precision_goes_on_in_single(vae: AutoencoderKL) -> None:
    vae.post_quant_conv.weight.mul_(1e5)
    decoder = Decoder(vae)
    expected = decoder(latents(2))
    vae.half()
    assert not vae.decode(latents(2).half() / vae.config.scaling_factor).sample.isfinite().all()
    images = decoder(latents(2))
    assert np.abs(images.astype(int) - expected).max() <= 8, (
        "weights have been through half precision, images not"
    )
    assert vae.dtype == torch.float32
