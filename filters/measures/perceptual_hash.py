"""Whether two images show almost the same, told from a few bits of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from filters.measures.pixels import Pixels

BITS = 192
STEP = 3
"""Levels of 255 by which a cell must be over its neighbour: what a lossy file adds to a flat area is less."""

Hash = NDArray[np.uint64]


def perceptual_hash(image: Pixels) -> Hash:
    """Where the colours rise from left to right: 8 × 8 bits of each channel, as uint64 (3,).

    The difference hash (dHash, Krawetz 2013) of every channel in place of the grey image's alone, which cannot tell
    a red ball from a blue one. Made of uint8 (H, W, 3) of any size, by the mean over 9 × 8 cells.
    """
    cells = np.asarray(Image.fromarray(image).resize((9, 8), Image.Resampling.BOX), np.int16)
    rises = np.diff(cells, axis=1) > STEP
    bits = np.packbits(rises.transpose(2, 0, 1).reshape(3, 64), axis=1)
    return np.frombuffer(bits.tobytes(), ">u8").astype(np.uint64)


def distance(first: Hash, second: Hash) -> NDArray[np.int64]:
    """Bits in which hashes (..., 3) differ, of `BITS`: int64 (...)."""
    counts: NDArray[np.int64] = np.bitwise_count(first ^ second).sum(axis=-1, dtype=np.int64)
    return counts
