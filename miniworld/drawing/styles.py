"""Applies a style to a painted photo."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from miniworld.drawing.palette import FULL, PAPER, SIDE


def pencil(image: Image.Image) -> Image.Image:
    """Draws grey lines where colours meet, and fades the colours on paper."""
    grey = np.asarray(image.filter(ImageFilter.GaussianBlur(2.2)).convert("RGB"), dtype=np.float32)
    edges = sum(
        np.abs(np.diff(grey, axis=axis, append=grey.take([-1], axis=axis))).max(-1) for axis in (0, 1)
    )
    line = (np.asarray(edges) / 26).clip(0, 1)[..., None]
    pixels = np.asarray(image, dtype=np.float32)
    tinted = 0.45 * np.array(PAPER) + 0.55 * pixels
    return Image.fromarray((tinted * (1 - line) + 66 * line).round().astype(np.uint8))


def mosaic(pixels: np.ndarray) -> np.ndarray:
    """Sets the reduced picture (64, 64, 3) in tiles of four pixels with grout between them."""
    tiles = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3)).repeat(4, 0).repeat(4, 1)
    mixed = 0.5 * pixels + 0.5 * tiles
    grout = np.zeros((SIDE, SIDE, 1), dtype=np.float32)
    grout[::4] = grout[:, ::4] = 0.42
    return mixed * (1 - grout) + 40 * grout


def watercolor(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blurs and washes out the picture, with an uneven edge of bare paper."""
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(3.0)), dtype=np.float32)
    washed = pixels + 0.28 * (255 - pixels)
    axis = np.abs(np.linspace(-1, 1, FULL))
    wobble = 0.05 * np.sin(np.arange(FULL) / rng.uniform(7, 11) + rng.uniform(0, 6))
    frame = np.maximum(axis[:, None] + wobble[None, :], axis[None, :] + wobble[:, None])
    share = ((frame - 0.82) / 0.1).clip(0, 1)[..., None]
    return Image.fromarray((washed * (1 - share) + np.array(PAPER) * share).round().astype(np.uint8))
