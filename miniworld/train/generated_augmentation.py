"""Repaints drawn scenes with the generator, to train CLIP and the reader on generated images with known captions.

A CLIP that was trained on clean drawings alone mistakes a generated heart, soft at its edges, for a ball.
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
from miniworld.scene_captions import caption
from miniworld.train.autoencoder import load_latents
from miniworld.train.denoiser import build_scheduler
from miniworld.train.loop import device, fast_matmul
from miniworld.train.scene_groups import PER_GROUP, make_group

# Noise up to this step leaves the objects in place; the generator repaints their edges and colours.
LAST_TIMESTEP = 350
BATCH = 128


@torch.no_grad()
def repaint(
    vae: AutoencoderKL,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    images: np.ndarray,
    seed: int,
    folder: Path,
    count: int,
) -> np.ndarray:
    """Adds some noise to the latents of the first scenes of `seed` and denoises them in one step.

    Returns uint8 (count, 64, 64, 3). Done once for these weights, then loaded from `folder`.
    """
    digest = hashlib.sha256(b"".join(p.detach().cpu().numpy().tobytes() for p in unet.parameters()))
    path = folder / f"repainted-{digest.hexdigest()[:12]}-{count}.npy"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        painted = np.lib.format.open_memmap(unfinished, "w+", np.uint8, (count, *images.shape[1:]))
        means, _ = load_latents(vae, images, folder)
        vae, text_encoder, unet = (part.eval().to(device()) for part in (vae, text_encoder, unet))
        for start in range(0, count, BATCH):
            stop = min(start + BATCH, count)
            scenes = [make_group(seed, k // PER_GROUP).scenes[k % PER_GROUP] for k in range(start, stop)]
            texts = [caption(scene) for scene in scenes]
            painted[start:stop] = _paint(vae, text_encoder, unet, means[start:stop], texts)
            print(f"repaint: {stop}/{count}", flush=True)
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
    with fast_matmul():
        states = text_encoder(ids.to(device())).last_hidden_state
        epsilon = unet(noisy, timesteps.to(device()), states).sample.float()
        denoised = (noisy - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()
        decoded = vae.decode(denoised / scale).sample.float()
    pixels = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()
