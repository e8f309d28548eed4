"""How well the mini world's reader reads: drawn scenes, whose truth is known, and generated ones, by their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL

import miniworld
from benchmarks.truth.edit_truth import Truth, layout_after, truth
from miniworld.calibrate import FAULTS
from miniworld.draw import draw
from miniworld.edits import EDITS, random_edit
from miniworld.evaluate import UNSEEN, SmallClip
from miniworld.language import caption
from miniworld.scene import Layout, Scene, random_layout, random_scene, variations
from miniworld.scene_reader import Reader, Reading, as_pixels

ATTRIBUTES = ("style", "ground", "sky", "colour", "object")


@dataclass(frozen=True)
class Pair:
    """A drawn pair of images, uint8 (64, 64, 3), for an edit of some kind; ``fault`` is "" where it is right."""

    kind: str
    fault: str
    before: Scene
    after: Scene
    images: tuple[np.ndarray, np.ndarray]


def agreement(read: Scene, scene: Scene) -> dict[str, bool]:
    """For each of `ATTRIBUTES` whether what is read is so. Colour: of the objects that were found."""
    found = {thing.kind: thing.colour for thing in read.things}
    colours = {thing.kind: thing.colour for thing in scene.things}
    return {
        "style": read.style == scene.style,
        "ground": read.ground == scene.ground,
        "sky": read.sky == scene.sky,
        "colour": all(found[kind] == colour for kind, colour in colours.items() if kind in found),
        "object": set(found) == set(colours),
    }


def picked(clip: SmallClip, scene: Scene, feature: torch.Tensor) -> dict[str, bool]:
    """For each of `ATTRIBUTES` whether CLIP prefers the scene's caption to all that are false by that one."""
    others = variations(scene)
    similarity = (clip.texts([caption(scene), *(caption(other) for _, other in others)]) @ feature).numpy()
    rivals: dict[str, float] = dict.fromkeys(ATTRIBUTES, -1.0)
    for (name, _), value in zip(others, similarity[1:], strict=True):
        rivals[name] = max(rivals[name], value)
    return {name: bool(similarity[0] > rival) for name, rival in rivals.items()}


def errors_of_place(readings: Sequence[Reading], drawn: Sequence[tuple[Scene, Layout]]) -> np.ndarray:
    """(M,) the largest error of x, foot's y and size of each object that was found, in fractions of the side."""
    errors = []
    for reading, (scene, layout) in zip(readings, drawn, strict=True):
        true = dict(zip((thing.kind for thing in scene.things), layout.places, strict=False))
        for thing, place in zip(reading.scene.things, reading.places, strict=True):
            if thing.kind in true:
                errors.append(np.abs(np.subtract(place, true[thing.kind])).max())
    return np.array(errors)


def unseen(count: int) -> list[tuple[Scene, Layout]]:
    """Scenes of any combination of attributes, that no training drew."""
    rng = np.random.default_rng(UNSEEN + 2)
    return [(random_scene(rng, held_out=None), random_layout(rng)) for _ in range(count)]


@torch.inference_mode()
def through_vae(images: np.ndarray) -> np.ndarray:
    """Drawn images, uint8 (N, 64, 64, 3), as the shipped VAE gives them back."""
    vae = AutoencoderKL.from_pretrained(miniworld.MODEL, subfolder="vae", dtype=torch.float32).eval()
    parts = [
        vae.decode(vae.encode(part).latent_dist.mean).sample.clamp(-1, 1)
        for part in as_pixels(images).split(64)
    ]
    pixels = ((torch.cat(parts) + 1) * 127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).numpy()


def drawn_pairs(per_kind: int) -> list[Pair]:
    """Drawn edits of each kind: as they should be, and with each of `miniworld.calibrate.FAULTS`."""
    rng = np.random.default_rng(UNSEEN + 3)
    pairs = []
    for kind in EDITS:
        for _ in range(per_kind):
            edit, layout = random_edit(rng, kind, held_out=None), random_layout(rng)
            others = [scene for _, scene in variations(edit.before) if scene != edit.after]
            first, wrong = draw(edit.before, layout), others[rng.integers(len(others))]
            moved = draw(edit.after, random_layout(rng))
            there = layout_after(edit.before, edit.after, layout)
            ends = (draw(edit.after, there), moved, first, draw(wrong, layout))
            pairs += [
                Pair(kind, fault, edit.before, edit.after, (first, end))
                for fault, end in zip(("", *FAULTS), ends, strict=True)
            ]
    return pairs


def truths_of(reader: Reader, pairs: Sequence[Pair]) -> list[Truth]:
    """What is read of each pair, once both images have been through the VAE."""
    images = through_vae(np.stack([image for pair in pairs for image in pair.images]))
    readings = reader.read(images)
    return [
        truth(
            pair.before,
            pair.after,
            (images[2 * n], readings[2 * n]),
            (images[2 * n + 1], readings[2 * n + 1]),
        )
        for n, pair in enumerate(pairs)
    ]
