"""Input images as pixel arrays, each distinct image encoded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from filters.errors import FilterError

Pixels = NDArray[np.uint8]
Images = Sequence[Pixels | Image.Image] | Pixels

Encoded = TypeVar("Encoded")


def to_pixels(image: Pixels | Image.Image, name: str) -> Pixels:
    """Converts an image to uint8 (H, W, 3). ``name`` is its name in the error.

    Raises:
        FilterError: another type or shape.
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        raise FilterError(f"{name} is {pixels.dtype}: give uint8 in 0 to 255, or a PIL image")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise FilterError(f"{name} has the shape {pixels.shape}: give (height, width, 3)")
    return pixels


def encode_distinct(images: Images, encode: Callable[[list[Pixels]], Iterator[Encoded]]) -> list[Encoded]:
    """Encodes N images, in their order. ``encode`` gets every distinct image once: a source has many edits.

    Raises:
        FilterError: images of another type or shape than uint8 (H, W, 3) or PIL.
    """
    pixels = [to_pixels(image, f"image {index}") for index, image in enumerate(images)]
    keys = [(image.shape, hashlib.sha256(np.ascontiguousarray(image).data).digest()) for image in pixels]
    distinct = dict(zip(keys, pixels, strict=True))
    encoded = dict(zip(distinct, encode(list(distinct.values())), strict=True))
    return [encoded[key] for key in keys]
