"""Images as they come, as pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from filters.errors import FilterError

Pixels = NDArray[np.uint8]
Images = Sequence[Pixels | Image.Image] | Pixels


def to_pixels(image: Pixels | Image.Image, name: str) -> Pixels:
    """An image as uint8 (H, W, 3); `name` is what the error calls it.

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
