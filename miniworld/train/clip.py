"""Trains the small CLIP: contrastive learning over captions that differ in one attribute, and over layouts.

Captions do not name the layout. A CLIP trained on captions alone hardly sees it, and its image similarity does not show
what an edit moved. So a second loss ranks images: a scene must be closer to its edit in the same layout than to its
edit in another layout.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from miniworld.clip_tokenizer import TOKENS, build_tokenizer
from miniworld.scene import Scene, variations
from miniworld.scene_captions import random_caption
from miniworld.train.loop import Recipe, device, fast_matmul, train
from miniworld.train.scene_groups import PER_GROUP, make_group

RECIPE = Recipe(steps=4200, learning_rate=1e-3, warmup=200, weight_decay=0.05)
GROUPS = 32
NEGATIVES = 4
MARGIN = 0.05
TEMPERATURE = 0.05
LAYOUT_WEIGHT = 0.5
REPAINTED = 2 / 3
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

Batch = tuple[Tensor, Tensor, Tensor]
"""Images (4·groups, 3, 64, 64), token ids of the captions, and the index of the caption of each image."""


def model_config() -> dict[str, object]:
    """Makes the ``model_cfg`` for open_clip."""
    return {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 64, "layers": [1, 2, 2, 1], "width": 16, "head_width": 32},
        "text_cfg": {
            "context_length": TOKENS,
            "vocab_size": len(build_tokenizer()),
            "width": 128,
            "heads": 4,
            "layers": 3,
            "hf_tokenizer_name": "tokenizer",
        },
    }


def build() -> open_clip.CLIP:
    """Builds the untrained model."""
    return open_clip.CLIP(**model_config())  # type: ignore[arg-type]


def _captions(scenes: list[Scene], rng: np.random.Generator) -> list[str]:
    """A caption for each scene, then for each scene `NEGATIVES` captions with one wrong attribute."""
    texts = [random_caption(scene, rng) for scene in scenes]
    for scene in scenes:
        others = [other for _, other in variations(scene) if not other.held_out]
        texts += [random_caption(others[i], rng) for i in rng.choice(len(others), NEGATIVES, replace=False)]
    return texts


def _batch(
    images: np.ndarray, repainted: np.ndarray | None, seed: int, step: int
) -> tuple[Tensor, list[str], Tensor]:
    rng = np.random.default_rng((2, step))
    chosen = np.sort(rng.choice(len(images) // PER_GROUP, GROUPS, replace=False))
    indices = (chosen[:, None] * PER_GROUP + np.arange(PER_GROUP)).ravel()
    groups = [make_group(seed, int(index)) for index in chosen]
    texts = _captions([scene for group in groups for scene in (group.scenes[0], group.scenes[2])], rng)
    caption_of_image = torch.arange(2 * GROUPS).repeat_interleave(2)
    shown = images[indices]
    if repainted is not None:
        replaced = (indices < len(repainted)) & (rng.random(len(indices)) < REPAINTED)
        shown[replaced] = repainted[indices[replaced]]
    pixels = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255
    return (
        (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None],
        texts,
        caption_of_image,
    )


def contrastive_loss(
    image: Tensor, text: Tensor, caption_of_image: Tensor, same: Tensor, scale: Tensor
) -> Tensor:
    """Computes CLIP's loss. Several images may share a caption. Captions after the last image's are negatives.

    Args:
        image: (I, D) unit features. text: (T, D) unit features; T is at least the number of captions with images.
        caption_of_image: (I,) the index of the caption of each image.
        same: bool (I, T), True if a caption of another image is right for this image too (equal scenes).
        scale: the inverse temperature.
    """
    logits = scale * image @ text.T
    right = F.one_hot(caption_of_image, text.shape[0]).bool()
    by_image = F.cross_entropy(logits.masked_fill(same & ~right, -torch.inf), caption_of_image)
    own = right[:, : int(caption_of_image.max()) + 1]
    rest = logits[:, : own.shape[1]].masked_fill((same & ~right)[:, : own.shape[1]], -torch.inf)
    by_text = -(F.log_softmax(rest, 0)[own]).mean()
    return (by_image + by_text) / 2


def layout_loss(image: Tensor) -> Tensor:
    """Ranks the same layout above another layout, for unit features (4·groups, D) in the order of a `Group`."""
    here, there, edited_here, edited_there = image.unflatten(0, (-1, PER_GROUP)).unbind(1)

    def rank(anchor: Tensor, near: Tensor, far: Tensor) -> Tensor:
        gap = (anchor * far).sum(-1) - (anchor * near).sum(-1)
        return F.softplus((gap + MARGIN) / TEMPERATURE).mean() * TEMPERATURE

    return (
        (
            rank(here, edited_here, edited_there)
            + rank(there, edited_there, edited_here)
            + rank(edited_here, here, there)
            + rank(edited_there, there, here)
        )
        / TEMPERATURE
        / 4
    )


def train_clip(
    images: np.ndarray,
    seed: int,
    folder: Path,
    recipe: Recipe = RECIPE,
    start: open_clip.CLIP | None = None,
    repainted: np.ndarray | None = None,
) -> open_clip.CLIP:
    """Trains on the groups of `seed`, drawn as uint8 (4·groups, 64, 64, 3), from `start` or from random weights.

    ``repainted`` has the first images as the generator paints them. They replace the drawn ones in two of three cases.
    """
    torch.manual_seed(0)
    clip = (start or build()).float().train().to(device())
    tokenizer = build_tokenizer()

    def loss(step: int) -> Tensor:
        pixels, texts, caption_of_image = _batch(images, repainted, seed, step)
        ids = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        same = torch.from_numpy(np.array(texts)[caption_of_image][:, None] == np.array(texts)[None])
        with fast_matmul():
            image = clip.encode_image(pixels.to(device()), normalize=True).float()
            text = clip.encode_text(ids.to(device()), normalize=True).float()
        scale = clip.logit_scale.exp().clamp(max=100)
        return contrastive_loss(
            image, text, caption_of_image.to(device()), same.to(device()), scale
        ) + LAYOUT_WEIGHT * layout_loss(image)

    train("clip", nn.ModuleDict({"clip": clip}), loss, recipe, folder)
    return clip.eval()
