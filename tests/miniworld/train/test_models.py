"""Each model's loss falls, and what is exported loads as anybody's model does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch.nn import functional as F

from miniworld.train.autoencoder import train_autoencoder
from miniworld.train.clip import contrastive_loss, layout_loss, train_clip
from miniworld.train.denoiser import build_scheduler, loss_weight, train_denoiser
from miniworld.train.export import export_clip, export_model
from miniworld.train.loop import Recipe
from miniworld.train.scene_groups import PER_GROUP, draw_group


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.concatenate([draw_group((0, index)) for index in range(40)])


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


def test_loss_weight_lies_between_epsilon_and_velocity() -> None:
    snr = torch.tensor([0.01, 1.0, 5.0, 10.0, 500.0])
    epsilon = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.01])
    velocity = epsilon * (snr + 1) / snr
    assert torch.allclose(loss_weight(snr / (1 + snr)), (epsilon * velocity).sqrt(), rtol=1e-3)


@pytest.mark.timeout(280)
def test_the_recipes_train_and_export_a_pipeline(
    images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = Recipe(steps=3, warmup=1)
    vae = train_autoencoder(images, tmp_path, few)
    assert 0 < vae.config.scaling_factor < 100
    text_encoder, unet = train_denoiser(vae, images, 0, tmp_path, few)
    export_model(vae, text_encoder, unet, tmp_path / "model")
    assert "denoiser: step 3/3" in capsys.readouterr().out
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "model", dtype=torch.float32)
    assert pipeline.scheduler.config.prediction_type == build_scheduler().config.prediction_type
    assert torch.allclose(pipeline.unet.conv_in.weight, unet.conv_in.weight.float(), atol=1e-3)
    picture = pipeline("a red ball on grass", num_inference_steps=2, output_type="np").images
    assert picture.shape == (1, 64, 64, 3)
    assert not list((tmp_path / "model").rglob("*.bin"))
    again = UNet2DConditionModel.from_pretrained(tmp_path / "model", subfolder="unet")
    export_model(vae, text_encoder, again, tmp_path / "again")
    assert not [p for p in (tmp_path / "again").rglob("*.json") if str(tmp_path) in p.read_text()]


@pytest.mark.timeout(280)
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
