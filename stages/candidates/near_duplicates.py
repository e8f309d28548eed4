"""Finds near-duplicates by perceptual hash: within a caption pair, and across all earlier samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from filters.measures.perceptual_hash import distance, perceptual_hash

ImagePair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Input and edited image, each uint8 (H, W, 3)."""


def find_near_candidates(
    bits: int | None, images: Callable[[int], ImagePair | None]
) -> Callable[[int, int], bool] | None:
    """A function that tells whether two candidates of a caption pair have near inputs, or near edits.

    One of both is enough, because caption and instruction are equal. Give the images as they are stored, so that a
    later choice from the shards decides the same.

    Args:
        bits: near images differ in at most so many bits of their hashes; with None nothing is compared.
        images: returns the images of a candidate by its index; None if they are not stored, which is near to nothing.
    """
    if bits is None:
        return None

    @cache
    def hashes(candidate: int) -> NDArray[np.uint64] | None:
        stored = images(candidate)
        return None if stored is None else _hash_pair(stored)

    def near(first: int, second: int) -> bool:
        a, b = hashes(first), hashes(second)
        return a is not None and b is not None and bool((distance(a, b) <= bits).any())

    return near


class EarlierSamples:
    """The samples kept so far of all caption pairs, 48 bytes each. A new one is compared with each of them.

    Input and edit must both be near: two instructions for one input are two samples.
    """

    def __init__(self, bits: int) -> None:
        self._bits, self._count = bits, 0
        self._hashes = np.zeros((1024, 2, 3), np.uint64)

    def __contains__(self, images: ImagePair) -> bool:
        distances = distance(self._hashes[: self._count], _hash_pair(images))
        return bool((distances <= self._bits).all(axis=1).any())

    def add(self, images: ImagePair) -> None:
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[self._count] = _hash_pair(images)
        self._count += 1


def _hash_pair(images: ImagePair) -> NDArray[np.uint64]:
    return np.stack([perceptual_hash(image) for image in images])
