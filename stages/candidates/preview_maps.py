"""The attention maps of the caption pairs that the report shows, drawn again beside the samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import p2p
from conf.schema import ImageFormat
from stages.candidates.selection import Rendered, best
from stages.formats.images import encode
from stages.records import Preview, WordMaps

# Pixels of a map's side: the denoiser's have 16, or some few more.
SIDE = 48


def with_maps(preview: Preview, rendered: Rendered, editor: p2p.Editor) -> Preview:
    """The preview with the maps of its source and of its best edit; as it is where they cannot be had.

    They take a trajectory of their own: to watch the sweep's would change the last bits of what is kept. A compiled
    denoiser has none, for it would be compiled anew.
    """
    shown = best(rendered)
    asked = rendered.asked[shown.sample_index]
    if asked.method != "p2p" or editor.pad:
        return preview
    maps = editor.edit_attention(replace(asked, taus=(shown.tau,)))
    places = (-1, preview.candidates.index(shown))
    return replace(
        preview,
        maps=tuple(
            WordMaps(place, seen.words, encode(stacked(seen.maps), ImageFormat.png, 100))
            for place, seen in zip(places, maps, strict=True)
        ),
    )


def stacked(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One grey picture (n·SIDE, SIDE) of maps (n, H, W), one below the other."""
    greatest = np.maximum(maps.max((1, 2), keepdims=True), 1e-12)
    levels = (maps / greatest * 255).round().astype(np.uint8)
    small = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX)) for one in levels]
    return np.concatenate(small)
