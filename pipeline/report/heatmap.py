"""Heat maps of attention over an image: the layout of the picture that ``pairforge attention`` writes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

PICTURE, GAP, MARGIN = 160, 10, 22
LABEL = 108
SMALL, LARGE = 15, 20
PAPER, INK, FAINT = "#ffffff", "#1b1f24", "#6b737d"
IMAGE_SHARE = 0.3  # of the greyed image in the mix


@dataclass(frozen=True)
class Maps:
    """A line of the picture: its label, and the maps (words, H, W)."""

    label: str
    heat: np.ndarray


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Colours of ``heat`` (H, W), scaled to its maximum, mixed with the greyed ``image``: (H, W, 3) uint8."""
    share = (heat / max(float(heat.max()), 1e-12)).clip(0, 1)
    colour = 255 * mpl.colormaps["inferno"](share)[..., :3]
    grey = image.mean(-1, keepdims=True)
    return (colour * (1 - IMAGE_SHARE) + grey * IMAGE_SHARE).round().astype(np.uint8)


def draw(prompt: str, image: np.ndarray, words: Sequence[str], lines: Sequence[Maps]) -> bytes:
    """A PNG: the image (H, W, 3) uint8, and under each word its map of each of ``lines``."""
    left, top = MARGIN + LABEL, MARGIN + LARGE + SMALL + 3 * GAP
    step = PICTURE + GAP
    size = (left + (1 + len(words)) * step - GAP + MARGIN, top + len(lines) * step - GAP + MARGIN)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    small, large = (ImageFont.load_default(size=points) for points in (SMALL, LARGE))
    pen.text((MARGIN, MARGIN - 4), prompt, font=large, fill=INK)
    for column, text in enumerate(("image", *words)):
        x = left + column * step + PICTURE / 2
        pen.text((x, top - GAP), text, font=small, fill=INK if column else FAINT, anchor="ms")
    _paste(sheet, image, left, top)
    for index, line in enumerate(lines):
        y = top + index * step
        pen.text((MARGIN, y + PICTURE / 2), line.label, font=small, fill=FAINT, anchor="lm")
        for column, heat in enumerate(line.heat, start=1):
            _paste(sheet, overlay(image, heat), left + column * step, y)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _paste(sheet: Image.Image, image: np.ndarray, x: int, y: int) -> None:
    picture = Image.fromarray(image)
    resampling = Image.Resampling.NEAREST if picture.width < PICTURE else Image.Resampling.LANCZOS
    sheet.paste(picture.resize((PICTURE, PICTURE), resampling), (x, y))
