from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniworld.scene import Scene, Thing, random_scene, variations
from miniworld.scene_captions import caption, parse_caption, random_caption, unknown_words

SCENE = Scene("photo", (Thing("red", "ball"), Thing("orange", "tree")), "sand", "day")


def test_a_caption_names_every_attribute() -> None:
    assert caption(SCENE) == "a photo of a red ball and an orange tree on sand by day"
    assert caption(SCENE, style=False, sky=False) == "a red ball and an orange tree on sand"


@given(st.integers(0, 2**32 - 1))
def test_captions_have_words_of_this_world_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert unknown_words(random_caption(random_scene(rng), rng)) == []


def test_words_of_other_worlds_are_listed() -> None:
    assert unknown_words("A photo of a Cathedral on grass, at dawn") == ["cathedral", "dawn"]


def test_only_photo_and_day_may_be_left_out() -> None:
    with pytest.raises(ValueError, match="watercolor"):
        caption(Scene("watercolor", SCENE.things, "sand", "day"), style=False)


@given(st.integers(0, 2**32 - 1))
def test_captions_of_neighbouring_scenes_differ(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    texts = [caption(scene)] + [caption(other) for _, other in variations(scene)]
    assert len(set(texts)) == len(texts)
    quiet = {random_caption(scene, rng) for _ in range(8)}
    assert not quiet & {random_caption(other, rng) for _, other in variations(scene)}


@given(st.integers(0, 2**32 - 1))
def test_a_whole_caption_can_be_parsed(seed: int) -> None:
    scene = random_scene(np.random.default_rng(seed), held_out=None)
    assert parse_caption(caption(scene)) == scene


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
def test_a_text_that_is_no_caption_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not a whole caption"):
        parse_caption(text)
