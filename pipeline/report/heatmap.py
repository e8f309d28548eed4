"""Heat maps over an image: where a model attends to each word of a prompt."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PICTURE, GAP, MARGIN = 160, 10, 22
LABEL = 108
SMALL, LARGE = 15, 20
PAPER, INK, FAINT = "#ffffff", "#1b1f24", "#6b737d"

# From no attention to most of it: black, violet, red, yellow, nearly white.
_RAMP = np.array(
    [(8, 6, 30), (92, 18, 110), (196, 52, 72), (250, 148, 40), (252, 254, 190)], dtype=np.float32
)
_SHOWN_THROUGH = 0.3  # how much is left of the image, in grey


@dataclass(frozen=True)
class Maps:
    """A row of the picture: its label, and a map (n, H, W) of each word."""

    label: str
    heat: np.ndarray


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Heat (H, W), scaled to its own greatest value, in colours over the greyed image (H, W, 3) uint8."""
    share = (heat / max(float(heat.max()), 1e-12)).clip(0, 1)
    stops = np.linspace(0, 1, len(_RAMP))
    colour = np.stack([np.interp(share, stops, channel) for channel in _RAMP.T], axis=-1)
    grey = image.mean(-1, keepdims=True)
    return (colour * (1 - _SHOWN_THROUGH) + grey * _SHOWN_THROUGH).round().astype(np.uint8)


def draw(prompt: str, image: np.ndarray, words: Sequence[str], rows: Sequence[Maps]) -> bytes:
    """A PNG: the image (H, W, 3) uint8, and under each word its maps, a row for each of ``rows``."""
    left = MARGIN + LABEL
    top = MARGIN + LARGE + SMALL + 3 * GAP
    size = (
        left + (1 + len(words)) * (PICTURE + GAP) - GAP + MARGIN,
        top + len(rows) * (PICTURE + GAP) - GAP + MARGIN,
    )
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    small, large = (ImageFont.load_default(size=s) for s in (SMALL, LARGE))
    pen.text((MARGIN, MARGIN - 4), prompt, font=large, fill=INK)
    for column, text in enumerate(("image", *words)):
        x = left + column * (PICTURE + GAP) + PICTURE / 2
        pen.text((x, top - GAP), text, font=small, fill=INK if column else FAINT, anchor="ms")
    _paste(sheet, image, left, top)
    for line, row in enumerate(rows):
        y = top + line * (PICTURE + GAP)
        pen.text((MARGIN, y + PICTURE / 2), row.label, font=small, fill=FAINT, anchor="lm")
        for column, heat in enumerate(row.heat, start=1):
            _paste(sheet, overlay(image, heat), left + column * (PICTURE + GAP), y)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _paste(sheet: Image.Image, image: np.ndarray, x: int, y: int) -> None:
    picture = Image.fromarray(image)
    enlarged = picture.width < PICTURE
    way = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    sheet.paste(picture.resize((PICTURE, PICTURE), way), (x, y))
