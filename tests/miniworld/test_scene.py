from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from miniworld.drawing.draw import draw
from miniworld.scene import KINDS, Scene, random_layout, random_scene, variations

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.sampled_from([False, True]))
def test_random_scenes_are_held_out_as_requested(seed: int, held_out: bool) -> None:
    scene = random_scene(np.random.default_rng(seed), held_out=held_out)
    assert scene.held_out == held_out
    assert 1 <= len(scene.things) <= 2
    assert len({thing.kind for thing in scene.things}) == len(scene.things)


def _differences(a: Scene, b: Scene) -> int:
    flat = [[s.style, s.ground, s.sky, *((t.colour, t.kind) for t in s.things)] for s in (a, b)]
    plain = [
        [value for item in one for value in (item if isinstance(item, tuple) else (item,))] for one in flat
    ]
    return sum(x != y for x, y in zip(*plain, strict=True))


@given(SEEDS)
def test_variations_are_all_scenes_with_one_change(seed: int) -> None:
    scene = random_scene(np.random.default_rng(seed))
    found = variations(scene)
    assert all(_differences(scene, other) == 1 for _, other in found)
    assert len({other for _, other in found}) == len(found)
    kinds = [other for attribute, other in found if attribute == "object"]
    assert len(kinds) == len(scene.things) * (len(KINDS) - len(scene.things))


@given(SEEDS)
def test_layouts_keep_both_places_inside_and_apart(seed: int) -> None:
    layout = random_layout(np.random.default_rng(seed))
    (x0, *_), (x1, *_) = layout.places
    assert abs(x0 - x1) > 0.2
    for x, y, size in layout.places:
        assert 0 < x < 1
        assert layout.horizon < y <= 0.92
        assert y - size > 0


def test_every_attribute_shows() -> None:
    rng = np.random.default_rng(5)
    layout = random_layout(rng)
    scene = random_scene(rng, things=2)
    picture = draw(scene, layout).astype(int)
    for attribute, other in variations(scene):
        changed = np.abs(draw(other, layout).astype(int) - picture).max(-1) > 24
        assert changed.sum() > 12, (attribute, other)
