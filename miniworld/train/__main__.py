"""Trains the mini world's models: `python -m miniworld.train`.

Goes on from the last checkpoint when it is run again; uses a GPU if there is one.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL

import miniworld
from miniworld.train import autoencoder, contrast, denoiser
from miniworld.train.data import drawn
from miniworld.train.export import export_clip, export_model
from miniworld.train.loop import Recipe

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m miniworld.train", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=["autoencoder", "clip", "denoiser"], help="which models to train"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("runs/miniworld"), help="checkpoints and drawn scenes"
    )
    parser.add_argument("--groups", type=int, default=10_000, help="groups of four scenes to draw")
    parser.add_argument("--steps", type=int, help="steps in place of the recipe's own, for every part named")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    parser.add_argument("--model", type=Path, default=miniworld.MODEL, help="where the diffusers folder goes")
    parser.add_argument(
        "--clip", type=Path, default=miniworld.CLIP, help="where the open_clip local-dir goes"
    )
    options = parser.parse_args()
    unknown = set(options.parts) - {"autoencoder", "clip", "denoiser"}
    if unknown:
        parser.error(
            f"no part is called {', '.join(sorted(unknown))}: there are autoencoder, clip and denoiser"
        )
    if options.threads:
        torch.set_num_threads(options.threads)

    def recipe(standard: Recipe) -> Recipe:
        return replace(standard, steps=options.steps) if options.steps else standard

    images = drawn(options.work, SEED, options.groups)
    if "autoencoder" in options.parts:
        vae = autoencoder.train_autoencoder(images, options.work, recipe(autoencoder.RECIPE))
        vae.save_pretrained(options.work / "vae")
    if "clip" in options.parts:
        export_clip(contrast.train_clip(images, SEED, options.work, recipe(contrast.RECIPE)), options.clip)
    if "denoiser" in options.parts:
        vae = AutoencoderKL.from_pretrained(options.work / "vae")
        text_encoder, unet = denoiser.train_denoiser(vae, images, SEED, options.work, recipe(denoiser.RECIPE))
        export_model(vae, text_encoder, unet, options.model)


if __name__ == "__main__":
    main()
