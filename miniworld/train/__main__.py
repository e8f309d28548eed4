"""Trains the mini world's models: `python -m miniworld.train`.

Resumes from the last checkpoint. Uses a GPU if there is one.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import open_clip
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

import miniworld
from miniworld.train.autoencoder import RECIPE as AUTOENCODER
from miniworld.train.autoencoder import train_autoencoder
from miniworld.train.clip import RECIPE as CLIP
from miniworld.train.clip import train_clip
from miniworld.train.denoiser import RECIPE as DENOISER
from miniworld.train.denoiser import train_denoiser
from miniworld.train.export import export_clip, export_model
from miniworld.train.generated_augmentation import repaint
from miniworld.train.language_model import RECIPE as WRITER
from miniworld.train.language_model import export_writer, train_writer
from miniworld.train.loop import Recipe
from miniworld.train.scene_groups import load_groups

SEED = 0
PARTS = ("autoencoder", "denoiser", "clip", "writer")
_Model = TypeVar("_Model")


def main() -> None:
    """Trains the named parts and exports them."""
    parser = argparse.ArgumentParser(prog="python -m miniworld.train", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=PARTS, help=f"which of {', '.join(PARTS)}; all by default"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/miniworld"), help="checkpoints and drawn scenes"
    )
    parser.add_argument("--groups", type=int, default=10_000, help="groups of four scenes to draw")
    parser.add_argument("--steps", type=int, help="steps of each part; the recipe's by default")
    parser.add_argument("--rate", type=float, help="highest learning rate; the recipe's by default")
    parser.add_argument("--threads", type=int, help="CPU threads; torch's choice by default")
    parser.add_argument(
        "--further", action="store_true", help="start from the weights in the folders instead of random ones"
    )
    parser.add_argument("--model", type=Path, default=miniworld.MODEL, help="the diffusers folder")
    parser.add_argument("--clip", type=Path, default=miniworld.CLIP, help="the open_clip local-dir")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; give some of {', '.join(PARTS)}")
    if options.threads:
        torch.set_num_threads(options.threads)

    def adjust(recipe: Recipe) -> Recipe:
        steps, rate = options.steps or recipe.steps, options.rate or recipe.learning_rate
        return replace(recipe, steps=steps, learning_rate=rate)

    if "writer" in options.parts:
        trained = train_writer(options.work, adjust(WRITER))
        export_writer(trained, options.work / "writer")
    if not {"autoencoder", "denoiser", "clip"} & set(options.parts):
        return
    images = load_groups(options.work, SEED, options.groups)
    if "autoencoder" in options.parts:
        start = _load_part(AutoencoderKL, options.model, "vae") if options.further else None
        vae = train_autoencoder(images, options.work, adjust(AUTOENCODER), start)
        vae.save_pretrained(options.work / "vae")
    if "denoiser" in options.parts:
        fresh = options.work / "vae"
        vae = (
            AutoencoderKL.from_pretrained(fresh, use_safetensors=True)
            if fresh.exists()
            else _load_part(AutoencoderKL, options.model, "vae")
        )
        start = None
        if options.further:
            start = (
                _load_part(CLIPTextModel, options.model, "text_encoder"),
                _load_part(UNet2DConditionModel, options.model, "unet"),
            )
        text_encoder, unet = train_denoiser(vae, images, SEED, options.work, adjust(DENOISER), start)
        export_model(vae, text_encoder, unet, options.model)
    if "clip" in options.parts:
        start = open_clip.create_model(f"local-dir:{options.clip}") if options.further else None
        painted = repaint(
            _load_part(AutoencoderKL, options.model, "vae"),
            _load_part(CLIPTextModel, options.model, "text_encoder"),
            _load_part(UNet2DConditionModel, options.model, "unet"),
            images,
            SEED,
            options.work,
            len(images) // 2,
        )
        export_clip(train_clip(images, SEED, options.work, adjust(CLIP), start, painted), options.clip)


def _load_part(kind: type[_Model], folder: Path, name: str) -> _Model:
    return kind.from_pretrained(  # type: ignore[attr-defined]
        folder, subfolder=name, dtype=torch.float32, use_safetensors=True
    )


if __name__ == "__main__":
    main()
