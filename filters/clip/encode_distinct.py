"""Images that come several times, the source of many edits, are encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from filters.measures.pixels import Images, Pixels, to_pixels

Encoded = TypeVar("Encoded")


def encode_distinct(images: Images, encode: Callable[[list[Pixels]], Iterator[Encoded]]) -> list[Encoded]:
    """What `encode` makes of each of N images, in their order; it is given every distinct image once.

    Raises:
        FilterError: images of another type or shape than uint8 (H, W, 3) or PIL.
    """
    pixels = [to_pixels(image, f"image {index}") for index, image in enumerate(images)]
    keys = [(image.shape, hashlib.sha256(np.ascontiguousarray(image).data).digest()) for image in pixels]
    distinct = dict(zip(keys, pixels, strict=True))
    encoded = dict(zip(distinct, encode(list(distinct.values())), strict=True))
    return [encoded[key] for key in keys]
