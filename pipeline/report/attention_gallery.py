"""Attention maps of a caption pair for the report: a picture of each word's map over its image."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from pipeline.report import heatmap
from stages.records import Preview, WordMaps

SIDE = 128


def build_attention(preview: Preview, thumbnail: Callable[[bytes], str | None]) -> list[dict[str, Any]]:
    """An entry for the source and one for the edit, each with its words; empty if the run drew no maps."""
    entries = []
    for maps in preview.maps:
        is_source = maps.edit < 0
        pictures = _draw_maps(preview.source if is_source else preview.edits[maps.edit], maps)
        entries.append(
            {
                "tau": None if is_source else preview.candidates[maps.edit].tau,
                "words": [
                    {"word": word, "picture": thumbnail(picture)}
                    for word, picture in zip(maps.words, pictures, strict=True)
                    if any(map(str.isalnum, word))
                ],
            }
        )
    return entries


def _draw_maps(picture: bytes, maps: WordMaps) -> Iterator[bytes]:
    """Yields a PNG for each word. ``maps.png`` holds the square maps of the words below each other."""
    image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize((SIDE, SIDE)))
    stack = Image.open(io.BytesIO(maps.png)).convert("L")
    side = stack.width
    for index in range(len(maps.words)):
        heat = stack.crop((0, index * side, side, (index + 1) * side)).resize((SIDE, SIDE))
        buffer = io.BytesIO()
        Image.fromarray(heatmap.overlay(image, np.asarray(heat, np.float32))).save(buffer, "PNG")
        yield buffer.getvalue()
