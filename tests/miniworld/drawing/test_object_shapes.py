"""Objects as pixels: where they stand, how large they are, and in which colours."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from miniworld.drawing.object_shapes import paint_shadow, paint_thing
from miniworld.drawing.palette import FULL, PALETTE
from miniworld.scene import COLOURS, KINDS, Thing

EMPTY = (1, 2, 3)  # no object has this colour
PLACE = (0.5, 0.8, 0.4)  # x, y of the foot, size


def paint(thing: Thing, place: tuple[float, float, float] = PLACE, shaded: bool = True) -> np.ndarray:
    """The object alone on an empty canvas, (192, 192, 3)."""
    canvas = Image.new("RGB", (FULL, FULL), EMPTY)
    paint_thing(ImageDraw.Draw(canvas), thing, place, shaded)
    return np.asarray(canvas)


def covered(pixels: np.ndarray) -> np.ndarray:
    return (pixels != EMPTY).any(-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [PLACE, (0.3, 0.6, 0.28), (0.7, 0.9, 0.36)])
def test_an_object_stands_on_its_foot_and_has_its_size(kind: str, place: tuple[float, float, float]) -> None:
    rows, columns = np.nonzero(covered(paint(Thing("red", kind), place)))
    x, y, size = (value * FULL for value in place)
    tolerance = 0.12 * size
    assert abs(rows.max() - y) <= tolerance
    assert abs((rows.max() - rows.min()) - size) <= tolerance
    assert abs((columns.min() + columns.max()) / 2 - x) <= tolerance
    assert 0.6 * size <= columns.max() - columns.min() <= 1.2 * size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_the_named_colour_is_the_most_frequent(kind: str, colour: str) -> None:
    """Or the second, where a roof, a dark side or white sails cover more."""
    pixels = paint(Thing(colour, kind))
    inside = pixels[covered(pixels)]
    values, counts = np.unique(inside, axis=0, return_counts=True)
    ranked = [tuple(int(c) for c in value) for value in values[np.argsort(-counts)]]
    assert PALETTE[colour] in ranked[: 2 if kind in ("cone", "house", "boat") else 1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_colour_changes_no_outline(kind: str) -> None:
    shapes = [covered(paint(Thing(colour, kind))) for colour in COLOURS]
    assert all((shape == shapes[0]).all() for shape in shapes)


def test_no_two_kinds_have_one_shape() -> None:
    shapes = [covered(paint(Thing("red", kind))) for kind in KINDS]
    for n, first in enumerate(shapes):
        for second in shapes[:n]:
            assert (first & second).sum() / (first | second).sum() < 0.9


@pytest.mark.parametrize(("kind", "lit"), [("ball", True), ("cone", True), ("star", False), ("heart", False)])
def test_light_falls_on_round_objects_alone(kind: str, lit: bool) -> None:
    shaded, flat = (paint(Thing("blue", kind), shaded=on) for on in (True, False))
    assert (shaded != flat).any() == lit
    assert (covered(shaded) == covered(flat)).all()


def test_a_shadow_darkens_the_ground_about_the_foot() -> None:
    ground = Image.new("RGB", (FULL, FULL), (200, 180, 140))
    paint_shadow(ground, PLACE)
    pixels = np.asarray(ground).astype(int)
    changed = (pixels != (200, 180, 140)).any(-1)
    rows, columns = np.nonzero(changed)
    x, y, size = (value * FULL for value in PLACE)
    assert (pixels[changed].sum(-1) < 200 + 180 + 140).all()
    assert abs(rows.mean() - y) < 2
    assert abs(columns.mean() - x) < 2
    assert columns.max() - columns.min() == pytest.approx(size, abs=3)
    assert rows.max() - rows.min() < 0.25 * size
