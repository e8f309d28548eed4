"""Which samples show almost the same: within a caption pair, and across all that came before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from filters.measures.perceptual_hash import Hash, distance, perceptual_hash

Pixels = NDArray[np.uint8]
Pair = tuple[Pixels, Pixels]
"""Input and edited image, each uint8 (H, W, 3)."""


class NearWithin:
    """Whether two candidates of a caption pair show almost the same: their inputs, or their edits.

    Either is enough, for caption and instruction are the same already. By the images as they are stored, so that
    whoever chooses again from a shard's files decides alike.
    """

    def __init__(self, bits: int, images: Callable[[int], Pair | None]) -> None:
        """``images`` of a candidate by its place, None where they are not to be had: near to nothing."""
        self._bits, self._images = bits, images
        self._hashes: dict[int, tuple[Hash, Hash] | None] = {}

    def __call__(self, first: int, second: int) -> bool:
        one, other = self._of(first), self._of(second)
        if one is None or other is None:
            return False
        return any(distance(a, b) <= self._bits for a, b in zip(one, other, strict=True))

    def _of(self, place: int) -> tuple[Hash, Hash] | None:
        if place not in self._hashes:
            pair = self._images(place)
            self._hashes[place] = pair and (perceptual_hash(pair[0]), perceptual_hash(pair[1]))
        return self._hashes[place]


class NearBefore:
    """The samples kept so far of all caption pairs, 48 bytes each; a new one is held to every one of them.

    Both images must be near: two instructions for one picture are two samples.
    """

    def __init__(self, bits: int) -> None:
        self._bits, self._count = bits, 0
        self._hashes = np.zeros((1024, 2, 3), np.uint64)

    def __contains__(self, pair: Pair) -> bool:
        return bool((distance(self._hashes[: self._count], _hashes(pair)) <= self._bits).all(axis=1).any())

    def add(self, pair: Pair) -> None:
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[self._count] = _hashes(pair)
        self._count += 1


def _hashes(pair: Pair) -> NDArray[np.uint64]:
    return np.stack([perceptual_hash(image) for image in pair])
