from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from miniworld.drawing.draw import draw
from miniworld.drawing.palette import PALETTE, SIDE
from miniworld.scene import Layout, Scene, Thing, random_layout, random_scene

LAYOUT = Layout(0.5, 0.0, 0.0, ((0.3, 0.85, 0.36), (0.7, 0.85, 0.36)), (0.5, 0.15), 3)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_the_same_scene_and_layout_give_the_same_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene, layout = random_scene(rng, held_out=None), random_layout(rng)
    picture = draw(scene, layout)
    assert picture.shape == (SIDE, SIDE, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, draw(scene, layout))


def test_a_ball_has_its_colour_where_it_stands() -> None:
    for colour, rgb in PALETTE.items():
        picture = draw(Scene("photo", (Thing(colour, "ball"),), "sand", "day"), LAYOUT)
        middle = picture[round(0.70 * SIDE), round(0.32 * SIDE)]
        assert np.abs(middle.astype(int) - rgb).max() <= 8, colour


def test_a_second_thing_does_not_change_the_first() -> None:
    one = Scene("photo", (Thing("red", "box"),), "grass", "day")
    two = Scene("photo", (Thing("red", "box"), Thing("blue", "cone")), "grass", "day")
    changed = (draw(one, LAYOUT) != draw(two, LAYOUT)).any(-1)
    assert changed[:, : SIDE // 2 - 4].sum() == 0
    assert changed[:, SIDE // 2 :].sum() > 100
