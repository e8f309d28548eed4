"""Images of the mini world: PSNR, dilated masks, and the VAE in both directions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageFilter
from torch import Tensor

import miniworld
from miniworld.scene_reader import as_pixels

MAX_PSNR = 60.0  # dB, for regions that are equal to the last bit
DILATION = 7  # pixels of the window: three to each side


def psnr(before: np.ndarray, after: np.ndarray, region: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two images (H, W, 3) uint8 within bool (H, W), at most `MAX_PSNR`."""
    error = np.square(before[region].astype(float) - after[region]).mean()
    return float(min(MAX_PSNR, 10 * np.log10(255**2 / max(error, 1e-9))))


def dilate(mask: np.ndarray) -> np.ndarray:
    """A bool mask (H, W), grown by three pixels to each side."""
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(DILATION))) > 0


@torch.inference_mode()
def encode(images: Sequence[np.ndarray] | np.ndarray) -> Tensor:
    """Scaled latents (N, C, h, w) of images (H, W, 3) uint8."""
    vae = _vae()
    means = [vae.encode(part).latent_dist.mean for part in as_pixels(images).split(64)]
    return torch.cat(means) * vae.config.scaling_factor


@torch.inference_mode()
def through_vae(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, H, W, 3), encoded and decoded."""
    vae = _vae()
    parts = (encode(images) / vae.config.scaling_factor).split(64)
    pixels = (torch.cat([vae.decode(part).sample.clamp(-1, 1) for part in parts]) + 1) * 127.5
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _vae() -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(miniworld.MODEL, subfolder="vae", dtype=torch.float32).eval()
