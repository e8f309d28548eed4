from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from miniworld.language import scene_of
from miniworld.scene import HELD_OUT_OBJECTS, Scene, variations
from miniworld.train.corpus import document, in_cipher
from miniworld.triples import reserved
from miniworld.words import WORDS

SEEDS = st.integers(0, 2**32 - 1)


def _full(text: str) -> Scene | None:
    try:
        return scene_of(text)
    except ValueError:
        return None


@given(SEEDS)
def test_whole_captions_are_of_neighbouring_scenes_that_may_be_seen(seed: int) -> None:
    lines = document(np.random.default_rng(seed)).split("\n")
    scenes = [scene for scene in map(_full, lines) if scene]
    assert len(lines) >= 2
    assert not any(reserved(scene) or scene.held_out for scene in scenes)
    assert not any(f"{colour} {kind}" in line for line in lines for colour, kind in HELD_OUT_OBJECTS)
    if not _full(lines[0]):
        return  # in cipher
    for index, scene in enumerate(scenes[1:], 1):
        assert any(_near(before, scene) for before in scenes[:index])


def _near(before: Scene, after: Scene) -> bool:
    if len(before.things) == len(after.things):
        return after in {other for _, other in variations(before)} | {before}
    places = [(scene.style, scene.ground, scene.sky) for scene in (before, after)]
    small, large = sorted((set(before.things), set(after.things)), key=len)
    return places[0] == places[1] and small < large


@given(SEEDS)
def test_a_cipher_puts_one_word_for_another_throughout(seed: int) -> None:
    lines = ["a red ball on sand by day", "the ball is blue now", "a blue ball on sand by day"]
    changed = in_cipher(lines, np.random.default_rng(seed))
    pairs = {
        pair
        for old, new in zip(lines, changed, strict=True)
        for pair in zip(old.split(), new.split(), strict=True)
    }
    words = {word for line in lines for word in line.split()}
    assert len(pairs) == len(words) == len({new for _, new in pairs})
    assert {new for _, new in pairs} <= set(WORDS)


def test_half_of_the_documents_are_in_plain_words() -> None:
    rng = np.random.default_rng(0)
    plain = np.mean([_full(document(rng).split("\n")[0]) is not None for _ in range(300)])
    assert 0.4 < plain < 0.75
