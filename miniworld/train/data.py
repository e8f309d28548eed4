"""The training set: groups of four drawn scenes, from which every model learns.

A group is a scene and an edited scene, each in two layouts: what CLIP must tell apart (the edit) and what it
must not forget (the layout) stand side by side.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miniworld.draw import draw
from miniworld.edits import random_edit
from miniworld.palette import SIDE
from miniworld.scene import Layout, Scene, random_layout

PER_GROUP = 4


@dataclass(frozen=True)
class Group:
    """The scenes (before, before, after, after) in the layouts (here, there, here, there)."""

    scenes: tuple[Scene, Scene, Scene, Scene]
    layouts: tuple[Layout, Layout, Layout, Layout]


def group(seed: int, index: int, held_out: bool | None = False) -> Group:
    """Group `index` of the endless training set of `seed`: any of them can be had without the others."""
    rng = np.random.default_rng((seed, index))
    edit = random_edit(rng, held_out=held_out)
    here, there = random_layout(rng), random_layout(rng)
    return Group((edit.before, edit.before, edit.after, edit.after), (here, there, here, there))


def draw_group(seed_and_index: tuple[int, int]) -> np.ndarray:
    """The group's images, uint8 (4, 64, 64, 3)."""
    one = group(*seed_and_index)
    return np.stack([draw(scene, layout) for scene, layout in zip(one.scenes, one.layouts, strict=True)])


def drawn(folder: Path, seed: int, groups: int) -> np.ndarray:
    """The first `groups` groups' images, uint8 (4·groups, 64, 64, 3), drawn once and mapped from disk after."""
    path = folder / f"scenes-{seed}-{groups}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        shape = (groups * PER_GROUP, SIDE, SIDE, 3)
        images = np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)
        for index, four in enumerate(_draw_all(seed, groups)):
            images[index * PER_GROUP : (index + 1) * PER_GROUP] = four
        images.flush()
        unfinished.rename(path)
    return np.load(path, mmap_mode="r")


def _draw_all(seed: int, groups: int) -> Iterator[np.ndarray]:
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from pool.imap(draw_group, [(seed, index) for index in range(groups)], chunksize=64)
