"""Trains the scene reader on drawn and repainted scenes: `python -m miniworld.train.reader`.

Half of the images are scenes repainted by the generator, because a reader of clean drawings alone reads generated
images worse. The other half is drawn, in all combinations of attributes, so that none is unlikely to the reader. Some
have no object, as some generated images.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModel

import miniworld
from miniworld.drawing.draw import draw
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Layout, Scene, random_layout, random_scene
from miniworld.scene_reader import Guesses, Reader, as_pixels
from miniworld.train.generated_augmentation import repaint
from miniworld.train.loop import Recipe, fast_matmul, train
from miniworld.train.scene_groups import PER_GROUP, load_groups, make_group

RECIPE = Recipe(
    steps=2000, learning_rate=4e-3, warmup=50, weight_decay=0.02, average=0.99, checkpoint_every=100
)
SCENES, EMPTY = 8_000, 0.04
PAINTED, GROUPS, PAINTED_SEED = 20_000, 10_000, 0
BATCH = 64
SEED = 5
FOLDER = miniworld.MODEL.parent / "reader"


def make_scene(index: int, seed: int = SEED) -> tuple[Scene, Layout]:
    """Makes scene ``index`` of an endless set, with its layout."""
    rng = np.random.default_rng((seed, index))
    scene = random_scene(rng, held_out=None)
    if rng.random() < EMPTY:
        scene = replace(scene, things=())
    return scene, random_layout(rng)


def make_targets(scenes: list[tuple[Scene, Layout]]) -> Guesses:
    """Makes the targets of the reader: as its output, with classes instead of logits.

    The colour of an absent object is -100, which `cross_entropy` ignores. The place of an absent object and the slope
    of a flat edge are NaN.
    """
    there = torch.zeros(len(scenes), len(KINDS))
    colour = torch.full((len(scenes), len(KINDS)), -100)
    place = torch.full((len(scenes), len(KINDS), 3), torch.nan)
    edge = torch.tensor([[layout.horizon, layout.slope, layout.bulge] for _, layout in scenes])
    for n, (scene, layout) in enumerate(scenes):
        for thing, at in zip(scene.things, layout.places, strict=False):
            k = KINDS.index(thing.kind)
            there[n, k], colour[n, k] = 1, COLOURS.index(thing.colour)
            place[n, k] = torch.tensor(at)
        if scene.ground == "water":
            edge[n, 1:] = torch.nan
    return Guesses(
        torch.tensor([STYLES.index(scene.style) for scene, _ in scenes]),
        torch.tensor([GROUNDS.index(scene.ground) for scene, _ in scenes]),
        torch.tensor([SKIES.index(scene.sky) for scene, _ in scenes]),
        edge,
        there,
        colour,
        place,
    )


def reading_loss(guesses: Guesses, right: Guesses) -> Tensor:
    """Computes the cross-entropies of all attributes, plus the mean distance of the places."""
    whole = sum(F.cross_entropy(guesses[i], right[i]) for i in range(3))
    there = F.binary_cross_entropy_with_logits(guesses.there, right.there) * len(KINDS)
    colour = F.cross_entropy(guesses.colour.flatten(0, 1), right.colour.flatten())
    distance = sum(
        (guess - true)[~true.isnan()].abs().mean()
        for guess, true in ((guesses.place, right.place), (guesses.edge, right.edge))
    )
    return whole + there + colour + 5 * distance


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Blurs some of the images; adds noise to all, and changes brightness and contrast."""
    n = (len(pixels), 1, 1, 1)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    soft = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = uniform(-1, 1).clamp(min=0)
    mixed = (1 - share) * pixels + share * soft
    noise = torch.randn(pixels.shape, generator=generator) * uniform(-0.08, 0.12).clamp(min=0)
    return (uniform(0.9, 1.1) * mixed + uniform(-0.08, 0.08) + noise).clamp(-1, 1)


def load_drawn_scenes(folder: Path, count: int) -> np.ndarray:
    """Loads the first scenes of `make_scene`, uint8 (count, 64, 64, 3). Draws them once into `folder`."""
    path = folder / f"reader-{count}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".part").open("wb") as file:
            np.save(file, np.stack([draw(*make_scene(index)) for index in range(count)]))
        path.with_suffix(".part").rename(path)
    return np.load(path, mmap_mode="r")


def load_painted_scenes(folder: Path, count: int) -> np.ndarray:
    """Loads the first scenes of CLIP's training, repainted by the shipped generator: uint8 (count, 64, 64, 3)."""
    vae, unet = (
        part.from_pretrained(miniworld.MODEL, subfolder=name, dtype=torch.float32)
        for part, name in ((AutoencoderKL, "vae"), (UNet2DConditionModel, "unet"))
    )
    encoder = CLIPTextModel.from_pretrained(miniworld.MODEL, subfolder="text_encoder", dtype=torch.float32)
    images = load_groups(folder, PAINTED_SEED, GROUPS)
    return repaint(vae, encoder, unet, images, PAINTED_SEED, folder, count)


def make_painted_scene(index: int) -> tuple[Scene, Layout]:
    """Makes the scene and layout of image ``index`` of `load_painted_scenes`."""
    group = make_group(PAINTED_SEED, index // PER_GROUP)
    return group.scenes[index % PER_GROUP], group.layouts[index % PER_GROUP]


def train_reader(scenes: np.ndarray, painted: np.ndarray, folder: Path, recipe: Recipe = RECIPE) -> Reader:
    """Trains on drawn scenes (`make_scene`) and repainted scenes (`make_painted_scene`), half of a batch each."""
    torch.manual_seed(0)
    reader = Reader().train()
    drawn_targets = make_targets([make_scene(index) for index in range(len(scenes))])
    painted_targets = make_targets([make_painted_scene(index) for index in range(len(painted))])

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng((6, step))
        first = np.sort(rng.integers(len(painted), size=BATCH // 2))
        second = np.sort(rng.integers(len(scenes), size=BATCH // 2))
        pixels = as_pixels(np.concatenate([painted[first], scenes[second]]))
        with fast_matmul():
            guesses = reader(augment(pixels, torch.Generator().manual_seed(step)))
        targets = [
            torch.cat([a[first], b[second]]) for a, b in zip(painted_targets, drawn_targets, strict=True)
        ]
        return reading_loss(Guesses(*(logits.float() for logits in guesses)), Guesses(*targets))

    train("reader", nn.ModuleDict({"reader": reader}), loss, recipe, folder)
    return reader.eval()


def main() -> None:
    """Trains, from the last checkpoint if there is one, and writes the weights in float16."""
    parser = argparse.ArgumentParser(prog="python -m miniworld.train.reader", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/reader"), help="checkpoints and drawn scenes")
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    options = parser.parse_args()
    scenes, painted = load_drawn_scenes(options.work, SCENES), load_painted_scenes(options.work, PAINTED)
    reader = train_reader(scenes, painted, options.work, replace(RECIPE, steps=options.steps))
    FOLDER.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in reader.state_dict().items()}
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    save_file(halves, FOLDER / "reader.safetensors")


if __name__ == "__main__":
    main()
