from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from miniworld.train import autoencoder, denoiser
from miniworld.train.autoencoder import train_autoencoder
from miniworld.train.denoiser import build_scheduler, train_denoiser
from miniworld.train.export import export_model
from miniworld.train.loop import Recipe


def test_the_recipes_train_and_export_a_pipeline(
    images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (autoencoder, denoiser):
        monkeypatch.setattr(module, "BATCH", 4)
    images, few = images[:16], Recipe(steps=3, warmup=1)
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
