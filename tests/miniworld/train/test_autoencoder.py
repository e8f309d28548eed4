from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from miniworld.train.autoencoder import build, encode_all, load_latents, train_autoencoder
from miniworld.train.loop import Recipe


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return build().eval()


def test_latents_are_means_and_deviations_of_the_posterior(vae: AutoencoderKL, images: np.ndarray) -> None:
    means, deviations = encode_all(vae, images[:130])
    assert means.shape == deviations.shape == (130, 4, 16, 16)
    assert means.dtype == deviations.dtype == torch.float16
    # Of the last image, which is in the second batch: uint8 to [-1, 1], channels first.
    pixels = torch.from_numpy(np.array(images[129:130])).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        posterior = vae.encode(pixels).latent_dist
    assert torch.allclose(means[129:].float(), posterior.mean, atol=2e-3)
    assert torch.allclose(deviations[129:].float(), posterior.std, rtol=2e-3)


def test_latents_are_encoded_once_for_the_same_weights(
    vae: AutoencoderKL, images: np.ndarray, tmp_path: Path
) -> None:
    first = load_latents(vae, images[:3], tmp_path)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again = load_latents(vae, images[:3], tmp_path)
    assert path.stat().st_mtime_ns == written
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    other = build().eval()
    load_latents(other, images[:3], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "other weights have other latents"


def test_the_scale_gives_latents_unit_variance(images: np.ndarray, tmp_path: Path) -> None:
    """No step is made here: `test_export.py` trains."""
    start = build()
    before = {key: value.clone() for key, value in start.state_dict().items()}
    trained = train_autoencoder(images[:24], tmp_path, Recipe(steps=0), start)
    assert trained is start
    assert not trained.training
    assert all(torch.equal(value, before[key]) for key, value in trained.state_dict().items())
    means, deviations = encode_all(trained, images[:24])
    latents = means.float() + deviations.float() * torch.randn(means.shape, generator=torch.manual_seed(0))
    assert (latents * trained.config.scaling_factor).var() == pytest.approx(1, rel=0.05)
