from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional as F

from miniworld.train.clip import contrastive_loss, layout_loss, train_clip
from miniworld.train.export import export_clip
from miniworld.train.loop import Recipe
from miniworld.train.scene_groups import PER_GROUP


def test_contrastive_loss_is_clip_s_if_captions_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    image, text = (F.normalize(torch.randn(6, 8, generator=generator), dim=-1) for _ in range(2))
    order = torch.arange(6)
    logits = 7 * image @ text.T
    clip = (F.cross_entropy(logits, order) + F.cross_entropy(logits.T, order)) / 2
    ours = contrastive_loss(image, text, order, torch.eye(6, dtype=torch.bool), torch.tensor(7.0))
    assert torch.allclose(ours, clip)


def test_an_equal_caption_is_not_a_negative() -> None:
    image = F.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    text = image[:1].repeat(2, 1)
    every = torch.ones(2, 2, dtype=torch.bool)
    loss = contrastive_loss(image, text, torch.arange(2), every, torch.tensor(5.0))
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_layout_loss_is_small_if_the_same_layout_is_nearer() -> None:
    here, there = torch.eye(8)[:2]
    good = torch.stack([here, there, here, there])
    bad = torch.stack([here, there, there, here])
    assert good.shape == (PER_GROUP, 8)
    assert layout_loss(good) < 1e-3 < layout_loss(bad)


@pytest.mark.timeout(900)
def test_clip_learns_and_is_exported(images: np.ndarray, tmp_path: Path) -> None:
    clip = train_clip(
        images, 0, tmp_path, Recipe(steps=2, warmup=1), repainted=255 - images[: len(images) // 2]
    )
    export_clip(clip, tmp_path / "clip")
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path / 'clip'}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'clip'}")(["a purple house on sand"])
    with torch.no_grad():
        again = model.encode_text(tokens, normalize=True)
        trained = clip.encode_text(tokens, normalize=True)
    assert torch.allclose(again, trained.float(), atol=2e-2)
    assert preprocess is not None
