"""Perceptual hash: a few bits of an image, nearly equal for images that show nearly the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from filters.pixels import Pixels

BITS = 192
STEP = 3
"""Levels of 255 by which a cell must exceed its neighbour. Lossy compression adds less to a flat area."""

Hash = NDArray[np.uint64]


def perceptual_hash(image: Pixels) -> Hash:
    """Hashes uint8 (H, W, 3) of any size to 8 × 8 bits of each channel, as uint64 (3,).

    The difference hash (dHash, Krawetz 2013) over the means of 9 × 8 cells: a bit is set if the channel rises from a
    cell to the next. It is taken of each channel, because a grey image cannot tell a red ball from a blue one.
    """
    cells = np.asarray(Image.fromarray(image).resize((9, 8), Image.Resampling.BOX), np.int16)
    rises = np.diff(cells, axis=1) > STEP
    bits = np.packbits(rises.transpose(2, 0, 1).reshape(3, 64), axis=1)
    return np.frombuffer(bits.tobytes(), ">u8").astype(np.uint64)


def distance(first: Hash, second: Hash) -> NDArray[np.int64]:
    """Counts the different bits, of `BITS`, of hashes (..., 3): int64 (...)."""
    counts: NDArray[np.int64] = np.bitwise_count(first ^ second).sum(axis=-1, dtype=np.int64)
    return counts
