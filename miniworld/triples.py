"""Draws triples (caption, instruction, edited caption) for a language model, and captions reserved for its test."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from miniworld.edits import EDITS, Edit, random_edit
from miniworld.scene import Scene, random_scene
from miniworld.scene_captions import caption

COUNT = 700
"""The number of triples that InstructPix2Pix's authors wrote (section 3.1.1)."""

SEED = 700
_RESERVED_SEED = 1_000_003  # a seed that training does not use


def is_reserved(scene: Scene) -> bool:
    """True if training must not use this scene: one in eight, by the caption's checksum."""
    return zlib.crc32(caption(scene).encode()) % 8 == 0


def draw_triples(count: int, seed: int = SEED) -> Iterator[Edit]:
    """Draws `count` different edits, the kinds in turn: the first `count` of any larger number.

    No edit has a reserved scene or a combination of attributes that is kept out of training.
    """
    rng = np.random.default_rng(seed)
    seen: set[Edit] = set()
    while len(seen) < count:
        edit = random_edit(rng, EDITS[len(seen) % len(EDITS)])
        if edit not in seen and not is_reserved(edit.before) and not is_reserved(edit.after):
            seen.add(edit)
            yield edit


def draw_unseen_captions(count: int, held_out: bool) -> list[str]:
    """Draws captions of reserved scenes, with or without combinations of attributes that training never saw."""
    rng = np.random.default_rng((_RESERVED_SEED, int(held_out)))
    captions: list[str] = []
    while len(captions) < count:
        scene = random_scene(rng, held_out=held_out)
        if is_reserved(scene):
            captions.append(caption(scene))
    return captions
