"""Exports the trained models: a diffusers folder and an open_clip local-dir."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel

from miniworld.clip_tokenizer import build_tokenizer
from miniworld.train.clip import MEAN, STD, model_config
from miniworld.train.denoiser import build_scheduler


def export_model(
    vae: AutoencoderKL, text_encoder: CLIPTextModel, unet: UNet2DConditionModel, folder: Path
) -> None:
    """Writes the diffusers folder, weights in float16."""
    for part in (vae, unet):
        part.register_to_config(_name_or_path="")  # without the path it was loaded from
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=build_tokenizer(),
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(folder, safe_serialization=True)


def export_clip(clip: open_clip.CLIP, folder: Path) -> None:
    """Writes the open_clip local-dir, weights in float16, with its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"size": 64, "mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": model_config(), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    state = {key: value.detach().cpu().contiguous() for key, value in clip.state_dict().items()}
    tensors = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    build_tokenizer().save_pretrained(folder)
