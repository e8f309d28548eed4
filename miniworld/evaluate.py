"""Evaluates the mini world's models: `python -m miniworld.evaluate`.

Measures on scenes that training never drew. Scenes with combinations of attributes kept out of training are measured
apart from the others.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import diffusers
import numpy as np
import open_clip
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

import miniworld
from miniworld.drawing.draw import draw
from miniworld.scene import Scene, random_layout, random_scene, variations
from miniworld.scene_captions import caption
from miniworld.scene_reader import as_pixels
from miniworld.train.scene_groups import PER_GROUP, draw_group

UNSEEN = 1_000_003  # a seed that training does not use
CHOICES = 16
STEPS, GUIDANCE = 30, 5.0


@dataclass(frozen=True)
class Picking:
    """The share of ``images`` for which CLIP picks the right caption.

    ``of_16``: among 16 captions, 15 of which have one wrong attribute. ``by_attribute``: among the right caption and
    all captions in which that attribute is wrong.
    """

    images: int
    of_16: float
    by_attribute: dict[str, float]


class SmallClip:
    """Encodes images and texts to unit features with the open_clip model of a local-dir."""

    def __init__(self, folder: Path) -> None:
        self.model, self.preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
        self.tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        self.model.eval()

    @torch.no_grad()
    def images(self, images: Sequence[np.ndarray]) -> Tensor:
        """Encodes N uint8 (H, W, 3) images: float32 (N, D)."""
        pixels = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        parts = [self.model.encode_image(part, normalize=True) for part in pixels.split(128)]
        return torch.cat(parts)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Encodes N texts: float32 (N, D)."""
        parts = [
            self.model.encode_text(part, normalize=True) for part in self.tokenizer(list(texts)).split(512)
        ]
        return torch.cat(parts)


def measure_vae_psnr(folder: Path, groups: int = 64) -> float:
    """Measures the mean peak signal-to-noise ratio, in dB, of unseen scenes encoded and decoded by the VAE."""
    vae = AutoencoderKL.from_pretrained(
        folder, subfolder="vae", dtype=torch.float32, use_safetensors=True
    ).eval()
    images = np.concatenate([draw_group((UNSEEN, index)) for index in range(groups)])
    x = as_pixels(images)
    with torch.no_grad():
        decoded = torch.cat([vae.decode(vae.encode(part).latent_dist.mean).sample for part in x.split(64)])
    mse = ((decoded.clamp(-1, 1) - x) / 2).square().mean((1, 2, 3))
    return float((-10 * mse.log10()).mean())


def measure_picking(clip: SmallClip, scenes: Sequence[Scene], images: Sequence[np.ndarray]) -> Picking:
    """Measures how often CLIP picks the caption of each of `images`, which show `scenes`."""
    rng = np.random.default_rng(UNSEEN)
    features = clip.images(images)
    right, by_attribute = [], defaultdict(list)
    for scene, feature in zip(scenes, features, strict=True):
        others = variations(scene)
        similarity = clip.texts([caption(scene), *(caption(other) for _, other in others)]) @ feature
        false = similarity[1:].numpy()
        chosen = rng.choice(len(others), CHOICES - 1, replace=False)
        right.append(float(similarity[0]) > false[chosen].max())
        for attribute in dict.fromkeys(attribute for attribute, _ in others):
            rivals = [value for (name, _), value in zip(others, false, strict=True) if name == attribute]
            by_attribute[attribute].append(float(similarity[0]) > max(rivals))
    return Picking(
        len(right), float(np.mean(right)), {key: float(np.mean(v)) for key, v in by_attribute.items()}
    )


def measure_layout_preference(clip: SmallClip, groups: int = 256) -> float:
    """Measures the share of drawn scenes that are closer to their edit in the same layout than in another."""
    images = np.concatenate([draw_group((UNSEEN, index)) for index in range(groups)])
    here, there, edited_here, edited_there = clip.images(list(images)).unflatten(0, (-1, PER_GROUP)).unbind(1)

    def prefers(anchor: Tensor, near: Tensor, far: Tensor) -> Tensor:
        return (anchor * near).sum(-1) > (anchor * far).sum(-1)

    cases = (prefers(here, edited_here, edited_there), prefers(there, edited_there, edited_here))
    return float(torch.cat(cases).float().mean())


def draw_unseen_scenes(count: int, held_out: bool) -> list[Scene]:
    """Draws scenes with or without the combinations of attributes that training never saw."""
    rng = np.random.default_rng((UNSEEN, int(held_out)))
    return [random_scene(rng, held_out=held_out) for _ in range(count)]


def generate(folder: Path, scenes: Sequence[Scene], batch: int = 16) -> list[np.ndarray]:
    """Generates an image for each scene's caption: 30 DDIM steps, guidance 5, seeds 0, 1, 2, …"""
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, safety_checker=None
    )
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    images: list[np.ndarray] = []
    for start in range(0, len(scenes), batch):
        part = scenes[start : start + batch]
        seeds = [torch.Generator().manual_seed(start + i) for i in range(len(part))]
        generated = pipeline(
            [caption(scene) for scene in part],
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=seeds,
            output_type="np",
        ).images
        images += list((generated * 255).round().astype(np.uint8))
    return images


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m miniworld.evaluate", description=__doc__)
    parser.add_argument(
        "--images", type=int, default=256, help="images to generate for each line (default 256)"
    )
    parser.add_argument(
        "--drawn",
        type=int,
        default=512,
        help="scenes to draw for each line, and images of drawn edits and of the VAE (default 512)",
    )
    parser.add_argument("--model", type=Path, default=miniworld.MODEL)
    parser.add_argument("--clip", type=Path, default=miniworld.CLIP)
    options = parser.parse_args(arguments)

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    console = Console(width=max(110, Console().width))
    clip = SmallClip(options.clip)
    console.print(f"VAE, unseen scenes: PSNR {measure_vae_psnr(options.model, options.drawn // 8):.2f} dB")
    console.print(
        f"sim_image prefers the same layout in {measure_layout_preference(clip, options.drawn // 2):.1%} of drawn edits"
    )

    table = Table(
        title=f"CLIP picks the caption among {CHOICES}, and among all captions with one wrong attribute"
    )
    attributes = ("style", "ground", "sky", "colour", "object")
    for column in ("images", "scenes", "n", f"of {CHOICES}", *attributes):
        table.add_column(column, justify="right")
    rng = np.random.default_rng(UNSEEN)
    for source in ("drawn", "generated"):
        for held_out in (False, True):
            scenes = draw_unseen_scenes(options.drawn if source == "drawn" else options.images, held_out)
            if source == "drawn":
                images = [draw(scene, random_layout(rng)) for scene in scenes]
            else:
                images = generate(options.model, scenes)
            picking = measure_picking(clip, scenes, images)
            shares = [f"{picking.by_attribute[attribute]:.1%}" for attribute in attributes]
            table.add_row(
                source,
                "held out" if held_out else "trained",
                str(picking.images),
                f"{picking.of_16:.1%}",
                *shares,
            )
    console.print(table)


if __name__ == "__main__":
    main()
