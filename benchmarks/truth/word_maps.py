"""Where the denoiser looks for a word, read off latents that are at hand: of drawn images as well as of generated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from torch import Tensor
from torch.nn.functional import interpolate

import miniworld
import p2p
from p2p.attention.map_columns import columns, map_size
from p2p.attention.routing import CrossRouting, Injected, SelfRouting, Watch
from p2p.sweep.noise import starting_noise

SIDE = 64  # of the images
TIMES = (50, 150, 300, 500)  # timesteps out of 1000: later ones know better where an object is


def encode(images: Sequence[np.ndarray]) -> Tensor:
    """The mini world's latents (N, C, h, w) of images (H, W, 3) uint8."""
    vae = AutoencoderKL.from_pretrained(miniworld.MODEL, subfolder="vae", dtype=torch.float32).eval()
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        return (
            torch.cat([vae.encode(part).latent_dist.mean for part in x.split(32)]) * vae.config.scaling_factor
        )


@torch.inference_mode()
def word_maps(
    editor: p2p.Editor, latents: Tensor, captions: Sequence[str], words: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    """The cross-attention of each caption's words, (n, 64, 64) fp32 for the n words of each.

    Clean latents (N, C, h, w) are noised to some timesteps and denoised under their captions. Each map is what
    ``p2p.Editor.attention`` shows of one step, averaged over the timesteps.
    """
    maps: list[np.ndarray] = []
    for first in range(0, len(captions), 32):
        part = slice(first, first + 32)
        maps += _read(editor, latents[part], captions[part], words[part])
    return maps


def segment(heat: np.ndarray, share: float) -> np.ndarray:
    """Where a map (H, W) is above a share of the way from its least to its greatest value, as bool (H, W)."""
    return heat >= heat.min() + share * (heat.max() - heat.min())


def _read(
    editor: p2p.Editor, latents: Tensor, captions: Sequence[str], words: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    family = editor.family
    n, most = len(captions), max(map(len, words))
    prompts = [family.tokenize(caption) for caption in captions]
    tokens = [[p.tokens_of(word, "words") for word in own] for p, own in zip(prompts, words, strict=True)]
    asked = torch.stack(
        [columns(p, [*own, *[()] * (most - len(own))]) for p, own in zip(prompts, tokens, strict=True)]
    )
    alpha = DDIMScheduler.from_config(family.scheduler_config).alphas_cumprod
    text = tuple(torch.stack(parts) for parts in zip(*map(family.encode, captions), strict=True))
    noise = torch.stack([starting_noise(row, family.latent_shape) for row in range(n)])
    size = map_size(family.latent_shape[1:], list(family.map_layers))
    sums = torch.zeros(n, size[0] * size[1], most)
    for t in TIMES:
        noisy = alpha[t].sqrt() * latents + (1 - alpha[t]).sqrt() * noise
        routing = _plain(n, family.window, Watch(torch.arange(n), asked, (sums,)))
        family.denoise(noisy, torch.full((n,), float(t)), text, routing)
    grid = sums.mT.unflatten(2, size) / (family.map_layers[size] * len(TIMES))
    maps = interpolate(grid, (SIDE, SIDE), mode="bilinear").numpy()
    return [maps[row, : len(own)] for row, own in enumerate(words)]


def _plain(rows: int, window: int, watch: Watch) -> Injected:
    """A batch in which every row keeps its own attention, and is watched."""
    every, none = torch.arange(rows), torch.zeros(0, dtype=torch.int64)
    cross = CrossRouting(
        rows=every,
        own=every,
        own_at=every,
        Dc=torch.ones(rows, window, 1),
        edited=none,
        edited_at=none,
        Rc=torch.zeros(0, window, window),
    )
    return Injected(cross, SelfRouting(every, every), watch)
