from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniworld.language import caption, random_caption, scene_of
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


@given(st.integers(0, 2**32 - 1))
def test_a_whole_caption_is_read_back(seed: int) -> None:
    scene = random_scene(np.random.default_rng(seed), held_out=None)
    assert scene_of(caption(scene)) == scene


@pytest.mark.parametrize(
    "text",
    [
        "a red ball on grass by day",
        "a photo of a ball on grass by day",
        "a photo of a red dog on grass by day",
        "a photo of a red ball on the moon by day",
        "a photo of a red ball on grass",
    ],
)
def test_what_no_scene_is_called_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is no whole caption"):
        scene_of(text)
