"""Training set of all models: groups of four drawn scenes.

A group is a scene and an edited scene, each in two layouts, so that CLIP learns to see both the edit and the layout.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from miniworld.drawing.draw import draw
from miniworld.drawing.palette import SIDE
from miniworld.edits import random_edit
from miniworld.scene import Layout, Scene, random_layout

PER_GROUP = 4


@dataclass(frozen=True)
class Group:
    """The scenes (before, before, after, after) in the layouts (here, there, here, there)."""

    scenes: tuple[Scene, Scene, Scene, Scene]
    layouts: tuple[Layout, Layout, Layout, Layout]


def make_group(seed: int, index: int, held_out: bool | None = False) -> Group:
    """Makes group `index` of the endless training set of `seed`, independently of the other groups."""
    rng = np.random.default_rng((seed, index))
    edit = random_edit(rng, held_out=held_out)
    here, there = random_layout(rng), random_layout(rng)
    return Group((edit.before, edit.before, edit.after, edit.after), (here, there, here, there))


def draw_group(seed_and_index: tuple[int, int]) -> np.ndarray:
    """Draws the images of a group: uint8 (4, 64, 64, 3)."""
    group = make_group(*seed_and_index)
    return np.stack([draw(scene, layout) for scene, layout in zip(group.scenes, group.layouts, strict=True)])


def load_groups(folder: Path, seed: int, groups: int) -> np.ndarray:
    """Loads the images of the first `groups` groups, uint8 (4·groups, 64, 64, 3). Draws them once into `folder`."""
    path = folder / f"scenes-{seed}-{groups}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        shape = (groups * PER_GROUP, SIDE, SIDE, 3)
        images = np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape)
        for index, group in enumerate(_draw_all(seed, groups)):
            images[index * PER_GROUP : (index + 1) * PER_GROUP] = group
        images.flush()
        unfinished.rename(path)
    return np.load(path, mmap_mode="r")


def _draw_all(seed: int, groups: int) -> Iterator[np.ndarray]:
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from pool.imap(draw_group, [(seed, index) for index in range(groups)], chunksize=64)
