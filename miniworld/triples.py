"""Triples (caption, instruction, edited caption) for a language model, and the captions it must not have seen."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from miniworld.edits import EDITS, Edit, random_edit
from miniworld.language import caption
from miniworld.scene import Scene, random_scene

COUNT = 700
"""As many as InstructPix2Pix's authors wrote (section 3.1.1)."""

SEED = 700
_RESERVED_SEED = 1_000_003  # the seed of what training does not draw


def reserved(scene: Scene) -> bool:
    """Whether the language model is kept from this scene: one in eight, by the caption's checksum."""
    return zlib.crc32(caption(scene).encode()) % 8 == 0


def drawn_triples(count: int, seed: int = SEED) -> Iterator[Edit]:
    """`count` different edits, the kinds in turn: the first of any larger count. None has a reserved scene.

    Nor has any a combination of attributes that is kept out of training.
    """
    rng = np.random.default_rng(seed)
    seen: set[Edit] = set()
    while len(seen) < count:
        edit = random_edit(rng, EDITS[len(seen) % len(EDITS)])
        if edit not in seen and not reserved(edit.before) and not reserved(edit.after):
            seen.add(edit)
            yield edit


def unseen_captions(count: int, held_out: bool) -> list[str]:
    """Captions of reserved scenes: without, or with, combinations of attributes that training never saw."""
    rng = np.random.default_rng((_RESERVED_SEED, int(held_out)))
    found: list[str] = []
    while len(found) < count:
        scene = random_scene(rng, held_out=held_out)
        if reserved(scene):
            found.append(caption(scene))
    return found
