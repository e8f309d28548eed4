"""Trains the VAE: 64×64 pixels to 16×16 latents of four channels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from miniworld.scene_reader import as_pixels
from miniworld.train.loop import Recipe, device, fast_matmul, train

RECIPE = Recipe(steps=2000, learning_rate=2e-3, average=0.998)
BATCH = 16
KL_WEIGHT = 1e-3  # of the mean over latent elements


def build() -> AutoencoderKL:
    """Builds the untrained model."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=16,
        sample_size=64,
        mid_block_add_attention=False,
    )


def _gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.diff(dim=-1), x.diff(dim=-2)


def train_autoencoder(
    images: np.ndarray, folder: Path, recipe: Recipe = RECIPE, start: AutoencoderKL | None = None
) -> AutoencoderKL:
    """Trains on uint8 (N, 64, 64, 3), from `start` or from random weights.

    The loss is L1 + L2 + L1 of the gradients + a little KL.
    """
    torch.manual_seed(0)
    vae = (start or build()).train().to(device())

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng((1, step))
        x = as_pixels(images[np.sort(rng.integers(len(images), size=BATCH))]).to(device())
        generator = torch.Generator(device()).manual_seed(step)
        with fast_matmul():
            posterior = vae.encode(x).latent_dist
            decoded = vae.decode(posterior.sample(generator)).sample
        decoded = decoded.float()
        edges = sum(F.l1_loss(a, b) for a, b in zip(_gradients(decoded), _gradients(x), strict=True))
        return (
            F.l1_loss(decoded, x)
            + F.mse_loss(decoded, x)
            + edges
            + KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()
        )

    train("autoencoder", nn.ModuleDict({"vae": vae}), loss, recipe, folder)
    vae.eval()
    vae.register_to_config(scaling_factor=_scaling_factor(vae, images))
    return vae


def load_latents(vae: AutoencoderKL, images: np.ndarray, folder: Path) -> tuple[Tensor, Tensor]:
    """Loads the result of `encode_all`, computed once for these weights and cached in `folder`."""
    digest = hashlib.sha256(b"".join(value.cpu().numpy().tobytes() for value in vae.state_dict().values()))
    path = folder / f"latents-{digest.hexdigest()[:12]}-{len(images)}.safetensors"
    if not path.exists():
        means, deviations = encode_all(vae, images)
        save_file({"means": means.contiguous(), "deviations": deviations.contiguous()}, path)
    latents = load_file(path)
    return latents["means"], latents["deviations"]


@torch.no_grad()
def encode_all(vae: AutoencoderKL, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Encodes images to means and standard deviations, float16 (N, 4, 16, 16) each, unscaled, on the CPU."""
    means, deviations = [], []
    for start in range(0, len(images), 128):
        posterior = vae.encode(as_pixels(images[start : start + 128]).to(device())).latent_dist
        means.append(posterior.mean.half().cpu())
        deviations.append(posterior.std.half().cpu())
    return torch.cat(means), torch.cat(deviations)


def _scaling_factor(vae: AutoencoderKL, images: np.ndarray) -> float:
    means, deviations = encode_all(vae, images[:2048])
    return float(1 / (means.float().var() + deviations.float().square().mean()).sqrt())
