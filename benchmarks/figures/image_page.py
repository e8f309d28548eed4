"""Draws pages of small images with captions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, GAP, MARGIN = 192, 14, 26
INK, PALE, MARK = (34, 34, 40), (110, 112, 122), (178, 34, 52)
TITLE, CAPTION, LABEL = 25, 15, 17


@dataclass(frozen=True)
class Cell:
    """An image (H, W, 3) uint8, shown 192 pixels wide, with a caption in which [words in brackets] stand out."""

    image: np.ndarray
    caption: str = ""
    framed: bool = False


@dataclass(frozen=True)
class Strip:
    """Images side by side, None for an empty place, with a label on their left."""

    cells: Sequence[Cell | None]
    label: str = ""


def page(title: str, about: str, strips: Sequence[Strip]) -> Image.Image:
    """Draw a title and an explanation above strips of images."""
    columns = max(len(strip.cells) for strip in strips)
    left = MARGIN + (SIDE if any(strip.label for strip in strips) else 0)
    width = left + columns * (SIDE + GAP) - GAP + MARGIN
    text = _wrap(about, CAPTION, width - 2 * MARGIN)
    top = MARGIN + TITLE + 14 + len(text) * _line(CAPTION) + 18
    heights = [SIDE + 6 + _caption_lines(strip) * _line(CAPTION) + GAP for strip in strips]
    image = Image.new("RGB", (width, top + sum(heights) + MARGIN - GAP), "white")
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN - 6), title, fill=INK, font=_font(TITLE, True))
    _write(draw, text, MARGIN, MARGIN + TITLE + 10, CAPTION, PALE)
    for strip, height in zip(strips, heights, strict=True):
        label = _wrap(strip.label, LABEL, SIDE - 2 * GAP)
        middle = top + (SIDE - len(label) * _line(LABEL)) // 2
        _write(draw, label, MARGIN, middle, LABEL, INK)
        for column, cell in enumerate(strip.cells):
            if cell is not None:
                _show(image, draw, cell, left + column * (SIDE + GAP), top)
        top += height
    return image


def _show(image: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, x: int, y: int) -> None:
    image.paste(Image.fromarray(cell.image).resize((SIDE, SIDE), Image.Resampling.NEAREST), (x, y))
    if cell.framed:
        draw.rectangle((x - 4, y - 4, x + SIDE + 3, y + SIDE + 3), outline=INK, width=3)
    lines = _wrap(cell.caption, CAPTION, SIDE)
    _write(draw, lines, x, y + SIDE + 6, CAPTION, INK, centred=SIDE)


def _caption_lines(strip: Strip) -> int:
    return max(len(_wrap(cell.caption, CAPTION, SIDE)) if cell else 0 for cell in strip.cells)


# The words of a line, each with whether it stands out.
_Words = list[tuple[str, bool]]


def _wrap(text: str, size: int, width: int) -> list[_Words]:
    lines: list[_Words] = []
    for paragraph in text.splitlines():
        line: _Words = []
        marked = False
        for word in paragraph.split():
            marked = marked or word.startswith("[")
            bare = (re.sub(r"[\[\]]", "", word), marked)
            marked = marked and "]" not in word
            if line and _width([*line, bare], size) > width:
                lines.append(line)
                line = []
            line.append(bare)
        lines.append(line)
    return lines


def _write(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[_Words],
    x: float,
    y: float,
    size: int,
    colour: tuple[int, int, int],
    centred: int = 0,
) -> None:
    for number, line in enumerate(lines):
        at = x + (centred - _width(line, size)) / 2 if centred else x
        for word, marked in line:
            font = _font(size, marked)
            draw.text((at, y + number * _line(size)), word, fill=MARK if marked else colour, font=font)
            at += font.getlength(word) + _font(size, False).getlength(" ")


def _width(line: _Words, size: int) -> float:
    spaces = (len(line) - 1) * _font(size, False).getlength(" ")
    return sum(_font(size, marked).getlength(word) for word, marked in line) + spaces


def _line(size: int) -> int:
    return round(1.3 * size)


@lru_cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf", size)
