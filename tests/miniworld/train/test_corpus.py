from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from miniworld.lm_tokenizer import WORDS
from miniworld.scene import HELD_OUT_OBJECTS, Scene, variations
from miniworld.scene_captions import parse_caption, with_article
from miniworld.train.corpus import encipher, make_document
from miniworld.triples import is_reserved

SEEDS = st.integers(0, 2**32 - 1)


def _full(text: str) -> Scene | None:
    try:
        return parse_caption(text)
    except ValueError:
        return None


@given(SEEDS)
def test_captions_are_of_neighbouring_scenes_that_are_allowed(seed: int) -> None:
    walk = make_document(np.random.default_rng(seed))
    lines = [line.text for line in walk]
    scenes = [scene for scene in map(_full, lines) if scene]
    assert len(lines) >= 2
    assert not any(is_reserved(scene) or scene.held_out for scene in scenes)
    assert not any(f"{colour} {kind}" in line for line in lines for colour, kind in HELD_OUT_OBJECTS)
    if not all(line.learned for line in walk):
        return  # in cipher
    assert all(_near(before, after) for before, after in pairwise(scenes))


def _near(before: Scene, after: Scene) -> bool:
    if len(before.things) == len(after.things):
        return after in {other for _, other in variations(before)}
    places = [(scene.style, scene.ground, scene.sky) for scene in (before, after)]
    small, large = sorted((set(before.things), set(after.things)), key=len)
    return places[0] == places[1] and small < large


@given(SEEDS)
def test_lines_that_are_not_learned_are_in_cipher(seed: int) -> None:
    walk = make_document(np.random.default_rng(seed))
    learned = [line.learned for line in walk]
    if all(learned):
        assert _full(walk[0].text)
        return
    assert learned == [False] + [False, True] * (len(learned) // 2)
    for place in range(2, len(walk), 2):
        above = {word for line in walk[:place] for word in line.text.split()}
        assert set(walk[place].text.split()) <= above | {"a", "an", "and"}


@given(SEEDS)
def test_a_cipher_puts_one_word_for_another_throughout(seed: int) -> None:
    lines = ["a red ball on sand by day", "the ball is blue now", "a blue ball on sand by day"]
    changed = encipher(lines, np.random.default_rng(seed))
    pairs = {
        pair
        for old, new in zip(lines, changed, strict=True)
        for pair in zip(old.split(), new.split(), strict=True)
        if pair[0] != "a"
    }
    words = {word for line in lines for word in line.split()} - {"a"}
    assert len(pairs) == len(words) == len({new for _, new in pairs})
    assert {new for _, new in pairs} <= set(WORDS)
    for line in changed:
        for word, following in pairwise(line.split()):
            assert word not in ("a", "an") or f"{word} {following}" == with_article(following)


def test_half_of_the_documents_are_in_plain_words() -> None:
    rng = np.random.default_rng(0)
    plain = np.mean([make_document(rng)[0].learned for _ in range(300)])
    assert 0.45 < plain < 0.75
