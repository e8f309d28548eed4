"""The shipped reader: it reads what is drawn, whatever is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from miniworld.drawing.draw import draw
from miniworld.scene import KINDS, random_layout, random_scene
from miniworld.scene_reader import Reader, load_reader

WEIGHTS = Path(__file__).parents[2] / "miniworld" / "weights" / "reader" / "reader.safetensors"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return load_reader()


def test_the_reader_reads_unseen_scenes_and_places(reader: Reader) -> None:
    rng = np.random.default_rng(77)
    drawn = [(random_scene(rng, held_out=None), random_layout(rng)) for _ in range(200)]
    readings = reader.read(np.stack([draw(*one) for one in drawn]))
    whole, errors = [], []
    for reading, (scene, layout) in zip(readings, drawn, strict=True):
        read = reading.scene
        whole.append(
            (read.style, read.ground, read.sky, set(read.things))
            == (scene.style, scene.ground, scene.sky, set(scene.things))
        )
        places = dict(zip((thing.kind for thing in scene.things), layout.places, strict=False))
        errors += [
            np.abs(np.subtract(place, places[thing.kind])).max()
            for thing, place in zip(read.things, reading.places, strict=True)
            if thing.kind in places
        ]
    assert np.mean(whole) >= 0.97
    assert np.median(errors) <= 0.04


def test_a_reading_has_a_place_for_each_thing_in_the_kinds_order(reader: Reader) -> None:
    rng = np.random.default_rng(1)
    for reading in reader.read(rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)):
        assert len(reading.places) == len(reading.scene.things)
        kinds = [KINDS.index(thing.kind) for thing in reading.scene.things]
        assert kinds == sorted(set(kinds))


def test_a_reading_does_not_depend_on_other_images(reader: Reader) -> None:
    rng = np.random.default_rng(2)
    images = np.stack([draw(random_scene(rng), random_layout(rng)) for _ in range(3)])
    alone = reader.read(images[1:2])[0]
    assert alone.scene == reader.read(images)[1].scene


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 600_000
    assert next(load_reader().parameters()).dtype == torch.float32
