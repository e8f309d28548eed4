"""Images to bytes: the same pixels, the same bytes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from conf.schema import ImageFormat, Shards

EXTENSIONS = {ImageFormat.png: "png", ImageFormat.jpeg: "jpg", ImageFormat.webp: "webp"}


def encode(image: np.ndarray, format: ImageFormat, quality: int) -> bytes:
    """Encode uint8 (H, W, 3), or grey (H, W).

    ``quality`` is JPEG's and WebP's, 1 to 100; WebP at 100 is lossless, as PNG is.
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(image)
    if format is ImageFormat.png:
        picture.save(buffer, "PNG")
    elif format is ImageFormat.jpeg:
        # Full chroma resolution: small coloured things are what an edit changes.
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        picture.save(buffer, "WEBP", quality=quality, lossless=quality == 100)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """uint8 (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def as_stored(image: np.ndarray, shards: Shards) -> np.ndarray:
    """The pixels that a reader of the shards will see, uint8 (H, W, 3)."""
    lossless = shards.format is ImageFormat.png or (
        shards.format is ImageFormat.webp and shards.quality == 100
    )
    return image if lossless else decode(encode(image, shards.format, shards.quality))
