"""Accuracy of the mini world's reader on drawn scenes and on drawn edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.truth.edit_truth import EditTruth, judge_edit, layout_after
from benchmarks.truth.image_functions import through_vae
from miniworld.calibrate import FAULTS
from miniworld.drawing.draw import draw
from miniworld.edits import EDITS, Edit, random_edit
from miniworld.evaluate import UNSEEN
from miniworld.scene import Layout, Scene, random_layout, random_scene, variations
from miniworld.scene_reader import Reader

ATTRIBUTES = ("style", "ground", "sky", "colour", "object")


@dataclass(frozen=True)
class DrawnPair:
    """A drawn pair of images, uint8 (64, 64, 3), for an edit; ``fault`` is "" if the pair is right."""

    edit: Edit
    fault: str
    images: tuple[np.ndarray, np.ndarray]


def agreement(read: Scene, scene: Scene) -> dict[str, bool]:
    """Whether each of `ATTRIBUTES` is read as it is. Colour: of the objects that were found."""
    read_colours = {thing.kind: thing.colour for thing in read.things}
    colours = {thing.kind: thing.colour for thing in scene.things}
    return {
        "style": read.style == scene.style,
        "ground": read.ground == scene.ground,
        "sky": read.sky == scene.sky,
        "colour": all(read_colours[kind] == colours[kind] for kind in colours if kind in read_colours),
        "object": set(read_colours) == set(colours),
    }


def unseen_layouts(count: int) -> list[tuple[Scene, Layout]]:
    """Scenes of any combination of attributes, with layouts, that no training drew."""
    rng = np.random.default_rng(UNSEEN + 2)
    return [(random_scene(rng, held_out=None), random_layout(rng)) for _ in range(count)]


def drawn_pairs(per_kind: int) -> list[DrawnPair]:
    """Drawn edits of each kind: right ones, and the same with each of `miniworld.calibrate.FAULTS`."""
    rng = np.random.default_rng(UNSEEN + 3)
    pairs = []
    for kind in EDITS:
        for _ in range(per_kind):
            edit, layout = random_edit(rng, kind, held_out=None), random_layout(rng)
            others = [scene for _, scene in variations(edit.before) if scene != edit.after]
            before, other = draw(edit.before, layout), others[rng.integers(len(others))]
            moved = draw(edit.after, random_layout(rng))
            right = draw(edit.after, layout_after(edit.before, edit.after, layout))
            outputs = (right, moved, before, draw(other, layout))
            pairs += [
                DrawnPair(edit, fault, (before, output))
                for fault, output in zip(("", *FAULTS), outputs, strict=True)
            ]
    return pairs


def judge_pairs(reader: Reader, pairs: Sequence[DrawnPair]) -> list[EditTruth]:
    """Judge each pair after both of its images have passed the VAE."""
    images = through_vae(np.stack([image for pair in pairs for image in pair.images]))
    shown = list(zip(images, reader.read(images), strict=True))
    return [
        judge_edit(pair.edit.before, pair.edit.after, source, output)
        for pair, source, output in zip(pairs, shown[::2], shown[1::2], strict=True)
    ]
