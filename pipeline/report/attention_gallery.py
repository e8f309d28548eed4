"""The attention maps of a pair, as pictures: each word's over the image that it was looked for in."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from pipeline.report import heatmap
from stages.records import Preview, WordMaps

SIDE = 128


def of(preview: Preview, thumbnail: Callable[[bytes], str | None]) -> list[dict[str, Any]]:
    """A row for the source and one for the edit, each with its words; none where the run drew no maps."""
    rows = []
    for maps in preview.maps:
        own = None if maps.edit < 0 else preview.candidates[maps.edit]
        picture = preview.source if own is None else preview.edits[maps.edit]
        rows.append(
            {
                "tau": None if own is None else own.tau,
                "words": [
                    {"word": word, "picture": thumbnail(drawn)}
                    for word, drawn in zip(maps.words, _drawn(picture, maps), strict=True)
                    if any(map(str.isalnum, word))
                ],
            }
        )
    return rows


def _drawn(picture: bytes, maps: WordMaps) -> list[bytes]:
    """A PNG for each word."""
    image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize((SIDE, SIDE)))
    stack = Image.open(io.BytesIO(maps.png)).convert("L")
    side = stack.width
    drawn = []
    for place in range(len(maps.words)):
        one = stack.crop((0, place * side, side, (place + 1) * side)).resize((SIDE, SIDE))
        buffer = io.BytesIO()
        Image.fromarray(heatmap.overlay(image, np.asarray(one, np.float32))).save(buffer, "PNG")
        drawn.append(buffer.getvalue())
    return drawn
