from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from miniworld.drawing.draw import draw
from miniworld.drawing.masks import mask, overlap
from miniworld.scene import KINDS, Layout, Scene, Thing, random_layout, random_scene


def draw_random(seed: int) -> tuple[Scene, Layout]:
    rng = np.random.default_rng(seed)
    return random_scene(rng, held_out=None), random_layout(rng)


@given(st.integers(0, 2**32))
def test_every_pixel_belongs_to_one_thing(seed: int):
    scene, layout = draw_random(seed)
    masks = [mask(scene, layout, which) for which in ("sky", "ground", *(t.kind for t in scene.things))]
    assert all(one.shape == (64, 64) and one.dtype == bool for one in masks)
    assert (np.sum(masks, axis=0) == 1).all()
    assert all(one.sum() > 50 for one in masks)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_where_its_pixels_change_colour(kind: str):
    """Nothing outside of its mask changes with its colour, and most of what is inside does."""
    layout = random_layout(np.random.default_rng(3))
    before = Scene("photo", (Thing("red", kind),), "sand", "day")
    after = replace(before, things=(Thing("blue", kind),))
    where = (draw(before, layout).astype(int) != draw(after, layout)).any(-1)
    body = mask(before, layout, kind)
    near = np.asarray(Image.fromarray(body).convert("L").filter(ImageFilter.MaxFilter(5))) > 0
    assert not (where & ~near).any()
    assert (where & body).sum() > (0.3 if kind == "boat" else 0.7) * body.sum(), "sails and windows stay"


@pytest.mark.parametrize("which", ["sky", "ground"])
def test_sky_and_ground_are_where_they_change(which: str):
    layout = random_layout(np.random.default_rng(5))
    before = Scene("photo", (Thing("red", "box"),), "grass", "day")
    after = replace(before, **{which: {"sky": "sunset", "ground": "lava"}[which]})
    changed = np.abs(draw(before, layout).astype(int) - draw(after, layout)).max(-1) > 40
    assert overlap(changed, mask(before, layout, which)) > 0.8


def test_the_object_in_front_hides_the_one_behind():
    layout = replace(random_layout(np.random.default_rng(0)), places=((0.5, 0.8, 0.4), (0.5, 0.75, 0.4)))
    scene = Scene("photo", (Thing("red", "ball"), Thing("blue", "house")), "grass", "day")
    ball, house = mask(scene, layout, "ball"), mask(scene, layout, "house")
    alone = replace(scene, things=scene.things[:1])
    assert (ball == mask(alone, layout, "ball")).all()
    assert 0 < house.sum() < ball.sum()


def test_overlap():
    left, all_ = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    left[:, :2] = True
    assert overlap(left, all_) == 0.5
    assert overlap(left, ~left) == 0.0
    assert overlap(~all_, ~all_) == 1.0


def test_a_part_that_the_scene_lacks_is_an_error():
    scene, layout = Scene("photo", (Thing("red", "ball"),), "grass", "day"), draw_random(0)[1]
    with pytest.raises(ValueError, match="no 'boat' in this scene; there are sky, ground, ball"):
        mask(scene, layout, "boat")
