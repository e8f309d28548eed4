from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniworld.language import caption, random_caption
from miniworld.scene import Scene, Thing, random_scene, variations

SCENE = Scene("photo", (Thing("red", "ball"), Thing("orange", "tree")), "sand", "day")


def test_a_caption_names_every_attribute() -> None:
    assert caption(SCENE) == "a photo of a red ball and an orange tree on sand by day"
    assert caption(SCENE, style=False, sky=False) == "a red ball and an orange tree on sand"


def test_only_a_photo_goes_without_saying() -> None:
    with pytest.raises(ValueError, match="watercolor"):
        caption(Scene("watercolor", SCENE.things, "sand", "day"), style=False)


@given(st.integers(0, 2**32 - 1))
def test_captions_tell_neighbouring_scenes_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    texts = [caption(scene)] + [caption(other) for _, other in variations(scene)]
    assert len(set(texts)) == len(texts)
    quiet = {random_caption(scene, rng) for _ in range(8)}
    assert not quiet & {random_caption(other, rng) for _, other in variations(scene)}
