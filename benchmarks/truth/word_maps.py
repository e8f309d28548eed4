"""Reads cross-attention maps of words from given latents, and finds the share of its range at which to cut a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.nn.functional import interpolate

import p2p
from benchmarks.truth.image_functions import encode
from miniworld.drawing.draw import draw
from miniworld.drawing.masks import mask, overlap
from miniworld.scene import random_layout, random_scene
from miniworld.scene_captions import caption
from p2p.attention.map_columns import map_size, word_columns
from p2p.attention.routing import ColumnSums, CrossRouting, Injected, SelfRouting
from p2p.sweep.noise import starting_noise

SIDE = 64  # of the images
TIMESTEPS = (50, 150, 300, 500)  # out of 1000; at less noise, objects are located better
BATCH = 32
SHARES = tuple(k / 20 for k in range(2, 16))
SEED = 2_000_003  # not used by any training


@torch.inference_mode()
def word_maps(
    editor: p2p.Editor, latents: Tensor, captions: Sequence[str], words: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    """The cross-attention of each caption's words, (n, 64, 64) fp32 for the n words of each.

    Clean latents (N, C, h, w) are noised to some timesteps and denoised under their captions. Each map is that of
    ``p2p.Editor.attention`` for one step, averaged over the timesteps.
    """
    maps: list[np.ndarray] = []
    for start in range(0, len(captions), BATCH):
        part = slice(start, start + BATCH)
        maps += _batch_maps(editor, latents[part], captions[part], words[part])
    return maps


def segment(heat: np.ndarray, share: float) -> np.ndarray:
    """Bool (H, W): where a map is above that share of the way from its least to its greatest value."""
    return heat >= heat.min() + share * (heat.max() - heat.min())


def best_share(editor: p2p.Editor, count: int) -> float:
    """The share of `SHARES` at which the maps of objects overlap most with their true masks, on ``count`` drawings."""
    rng = np.random.default_rng((SEED, 0))
    scenes = [random_scene(rng) for _ in range(count)]
    layouts = [random_layout(rng) for _ in scenes]
    latents = encode([draw(*drawing) for drawing in zip(scenes, layouts, strict=True)])
    kinds = [[thing.kind for thing in scene.things] for scene in scenes]
    heats = word_maps(editor, latents, list(map(caption, scenes)), kinds)
    located = [
        (heat, mask(scene, layout, kind))
        for scene, layout, *words in zip(scenes, layouts, kinds, heats, strict=True)
        for kind, heat in zip(*words, strict=True)
    ]
    return max(
        SHARES,
        key=lambda share: np.mean([overlap(segment(heat, share), region) for heat, region in located]),
    )


def _batch_maps(
    editor: p2p.Editor, latents: Tensor, captions: Sequence[str], words: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    family = editor.family
    n, most = len(captions), max(map(len, words))
    map_columns = []
    for text, caption_words in zip(captions, words, strict=True):
        prompt = family.tokenize(text)
        tokens = [prompt.tokens_of(word, "words") for word in caption_words]
        map_columns.append(word_columns(prompt, [*tokens, *[()] * (most - len(tokens))]))
    alpha = DDIMScheduler.from_config(family.scheduler_config).alphas_cumprod
    states = tuple(torch.stack(parts) for parts in zip(*map(family.encode, captions), strict=True))
    noise = torch.stack([starting_noise(row, family.latent_shape) for row in range(n)])
    size = map_size(family.latent_shape[1:], list(family.map_layers))
    sums = torch.zeros(n, size[0] * size[1], most)
    column_sums = ColumnSums(torch.arange(n), torch.stack(map_columns), (sums,))
    for t in TIMESTEPS:
        noisy = alpha[t].sqrt() * latents + (1 - alpha[t]).sqrt() * noise
        family.denoise(
            noisy, torch.full((n,), float(t)), states, _without_injection(n, family.window, column_sums)
        )
    grid = sums.mT.unflatten(2, size) / (family.map_layers[size] * len(TIMESTEPS))
    maps = interpolate(grid, (SIDE, SIDE), mode="bilinear").numpy()
    return [maps[row, : len(caption_words)] for row, caption_words in enumerate(words)]


def _without_injection(rows: int, window: int, column_sums: ColumnSums) -> Injected:
    """A batch in which every row keeps its own attention and adds to the sums."""
    every_row, no_row = torch.arange(rows), torch.zeros(0, dtype=torch.int64)
    cross = CrossRouting(
        rows=every_row,
        kept=every_row,
        kept_at=every_row,
        Dc=torch.ones(rows, window, 1),
        injected=no_row,
        injected_at=no_row,
        Rc=torch.zeros(0, window, window),
    )
    return Injected(cross, SelfRouting(every_row, every_row), column_sums)
