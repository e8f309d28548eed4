"""Where things are: of drawn scenes by rendering, of generated images by their difference."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from miniworld.draw import horizon
from miniworld.objects import paint_thing
from miniworld.palette import FULL, SCALE, SIDE
from miniworld.scene import Layout, Scene

SKY, GROUND = "sky", "ground"
CHANGED = 40  # of 255; chosen on drawn edits, and above what the VAE leaves of a round trip

_NOWHERE = (255, 0, 255)  # no object is of this colour


def mask(scene: Scene, layout: Layout, which: str) -> np.ndarray:
    """Where something can be seen, as bool (64, 64): a pixel belongs to what has most of it.

    Args:
        scene: what is drawn.
        layout: where.
        which: "sky" with what is in it, "ground" with the shadows on it, or the kind of an object; what an object
            covers is the object's.

    Raises:
        ValueError: the scene has no such thing.
    """
    names = [SKY, GROUND, *(thing.kind for thing in scene.things)]
    if which not in names:
        raise ValueError(f"there is no {which!r} in this scene; there are {', '.join(names)}")
    seen = np.zeros((FULL, FULL), dtype=np.int64)
    seen[np.arange(FULL)[:, None] >= horizon(scene, layout)] = 1
    placed = list(enumerate(zip(scene.things, layout.places, strict=False), start=2))
    for label, (thing, place) in sorted(placed, key=lambda entry: entry[1][1][1]):
        canvas = Image.new("RGB", (FULL, FULL), _NOWHERE)
        paint_thing(ImageDraw.Draw(canvas), thing, place, shaded=True)
        seen[(np.asarray(canvas) != _NOWHERE).any(-1)] = label
    votes = np.eye(len(names))[seen].reshape(SIDE, SCALE, SIDE, SCALE, -1).sum((1, 3))
    return votes.argmax(-1) == names.index(which)


def changed(before: np.ndarray, after: np.ndarray, threshold: float = CHANGED) -> np.ndarray:
    """Where two images (H, W, 3) uint8 differ: bool (H, W).

    The largest difference of a channel is above ``threshold``, and so it is for most of the pixels around.
    """
    difference = np.abs(before.astype(np.int16) - after).max(-1)
    rough = Image.fromarray(((difference > threshold) * 255).astype(np.uint8))
    return np.asarray(rough.filter(ImageFilter.MedianFilter(3))) > 0


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = np.logical_or(found, true).sum()
    return float(np.logical_and(found, true).sum() / union) if union else 1.0
