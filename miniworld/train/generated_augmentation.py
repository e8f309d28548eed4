"""The drawn scenes as the generator paints them: what CLIP will be asked about, with the drawing's caption still true.

A CLIP that has seen clean drawings alone takes a generated heart, soft at its edges, for a ball.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from miniworld.clip_tokenizer import build_tokenizer
from miniworld.language import caption
from miniworld.train.autoencoder import latents_of
from miniworld.train.data import PER_GROUP, group
from miniworld.train.denoiser import build_scheduler
from miniworld.train.loop import device, fast_products

# Noise up to here leaves the objects in place; their edges and colours come out as the generator has them.
LAST_TIMESTEP = 350
BATCH = 128


@torch.no_grad()
def repainted(
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    images: np.ndarray,
    seed: int,
    folder: Path,
    count: int,
) -> np.ndarray:
    """uint8 (count, 64, 64, 3): the first scenes of `seed`, each with some noise on its latents, denoised in one step.

    Done once for these weights, mapped from disk after.
    """
    digest = hashlib.sha256(b"".join(p.detach().cpu().numpy().tobytes() for p in unet.parameters()))
    path = folder / f"repainted-{digest.hexdigest()[:12]}-{count}.npy"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        painted = np.lib.format.open_memmap(unfinished, "w+", np.uint8, (count, *images.shape[1:]))
        means, _ = latents_of(vae, images, folder)
        vae, text_encoder, unet = (part.eval().to(device()) for part in (vae, text_encoder, unet))
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            scenes = [group(seed, row // PER_GROUP).scenes[row % PER_GROUP] for row in rows]
            painted[rows.start : rows.stop] = _paint(
                vae, text_encoder, unet, means[rows.start : rows.stop], [caption(scene) for scene in scenes]
            )
            print(f"repaint: {rows.stop}/{count}", flush=True)
        painted.flush()
        unfinished.rename(path)
    return np.load(path, mmap_mode="r")


def _paint(
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    means: Tensor,
    texts: list[str],
) -> np.ndarray:
    generator = torch.Generator().manual_seed(zlib.crc32(texts[0].encode()))
    ids = build_tokenizer()(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    scale = vae.config.scaling_factor
    latents = means.float() * scale
    noise = torch.randn(latents.shape, generator=generator).to(device())
    timesteps = torch.randint(0, LAST_TIMESTEP, (len(texts),), generator=generator)
    alpha = build_scheduler().alphas_cumprod[timesteps].to(device())[:, None, None, None]
    noisy = alpha.sqrt() * latents.to(device()) + (1 - alpha).sqrt() * noise
    with fast_products():
        states = text_encoder(ids.to(device())).last_hidden_state
        epsilon = unet(noisy, timesteps.to(device()), states).sample.float()
        denoised = (noisy - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()
        decoded = vae.decode(denoised / scale).sample.float()
    pixels = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()
