"""Masks of the parts of a drawn scene, by rendering."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from miniworld.drawing.draw import horizon
from miniworld.drawing.object_shapes import paint_thing
from miniworld.drawing.palette import FULL, SCALE, SIDE
from miniworld.scene import Layout, Scene

SKY, GROUND = "sky", "ground"

_NOWHERE = (255, 0, 255)  # no object has this colour


def mask(scene: Scene, layout: Layout, which: str) -> np.ndarray:
    """Finds the visible pixels of a part of the scene: bool (64, 64). A pixel belongs to the part that fills it most.

    Args:
        scene: the scene.
        layout: its layout.
        which: "sky" with everything in it, "ground" with the shadows on it, or the kind of an object. Covered pixels
            belong to the object in front.

    Raises:
        ValueError: the scene has no such part.
    """
    names = [SKY, GROUND, *(thing.kind for thing in scene.things)]
    if which not in names:
        raise ValueError(f"there is no {which!r} in this scene; there are {', '.join(names)}")
    labels = np.zeros((FULL, FULL), dtype=np.int64)
    labels[np.arange(FULL)[:, None] >= horizon(scene, layout)] = 1
    placed = list(enumerate(zip(scene.things, layout.places, strict=False), start=2))
    for label, (thing, place) in sorted(placed, key=lambda entry: entry[1][1][1]):
        canvas = Image.new("RGB", (FULL, FULL), _NOWHERE)
        paint_thing(ImageDraw.Draw(canvas), thing, place, shaded=True)
        labels[(np.asarray(canvas) != _NOWHERE).any(-1)] = label
    votes = np.eye(len(names))[labels].reshape(SIDE, SCALE, SIDE, SCALE, -1).sum((1, 3))
    return votes.argmax(-1) == names.index(which)


def overlap(predicted: np.ndarray, true: np.ndarray) -> float:
    """Computes the intersection over union of two masks; 1 if both are empty."""
    union = np.logical_or(predicted, true).sum()
    return float(np.logical_and(predicted, true).sum() / union) if union else 1.0
