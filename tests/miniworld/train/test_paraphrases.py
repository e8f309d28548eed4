"""Paraphrases say what is in a scene, or what is new in the next one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniworld.edits import EDITS, random_edit
from miniworld.scene import GROUNDS, SKIES, STYLES, Scene, Thing, random_scene
from miniworld.scene_captions import caption, with_article
from miniworld.train.paraphrases import describe_briefly, describe_change, describe_place

SEEDS = st.integers(0, 2**32 - 1)
BALL, HOUSE, STAR = Thing("red", "ball"), Thing("blue", "house"), Thing("orange", "star")


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("sky", SKIES)
def test_a_place_is_the_end_of_the_caption(ground: str, sky: str) -> None:
    assert caption(Scene("photo", (BALL,), ground, sky)).endswith(describe_place(ground, sky))


@given(SEEDS)
def test_a_brief_description_names_the_scene_s_attributes_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, held_out=None)
    words = set(describe_briefly(scene, rng).split())
    allowed = set(caption(scene).split()) | {with_article(thing.kind).split()[0] for thing in scene.things}
    assert words <= allowed | {"the", "is"}
    assert words & allowed


@given(SEEDS, st.sampled_from(EDITS))
def test_a_change_and_its_reverse_share_no_phrasing(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    edit, other = random_edit(rng, kind), random_edit(rng, kind)
    phrasings = {describe_change(edit.before, edit.after, rng) for _ in range(40)}
    assert 1 < len(phrasings) <= 4
    back = {describe_change(edit.after, edit.before, rng) for _ in range(40)}
    assert not phrasings & back, "a change and its reverse are told apart"
    assert describe_change(other.before, other.after, rng)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (Scene("photo", (BALL,), "sand", "day"), Scene("mosaic", (BALL,), "sand", "day"), "mosaic"),
        (Scene("photo", (BALL,), "sand", "day"), Scene("photo", (BALL,), "lava", "day"), "lava"),
        (
            Scene("photo", (BALL,), "sand", "day"),
            Scene("photo", (BALL, HOUSE), "sand", "day"),
            "a blue house",
        ),
        (Scene("photo", (BALL, HOUSE), "sand", "day"), Scene("photo", (STAR, HOUSE), "sand", "day"), "star"),
    ],
)
def test_the_new_attribute_is_named(before: Scene, after: Scene, word: str) -> None:
    rng = np.random.default_rng(0)
    phrasings = {describe_change(before, after, rng) for _ in range(40)}
    assert all(word in phrasing for phrasing in phrasings)


def test_all_styles_can_be_described() -> None:
    rng = np.random.default_rng(0)
    for style in STYLES[1:]:
        change = describe_change(
            Scene("photo", (BALL,), "sand", "day"), Scene(style, (BALL,), "sand", "day"), rng
        )
        assert style in change
