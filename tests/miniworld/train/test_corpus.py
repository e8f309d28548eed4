from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from miniworld.language import scene_of
from miniworld.scene import Scene, variations
from miniworld.train.corpus import document
from miniworld.triples import reserved

INSTRUCTIONS = {
    "make",
    "turn",
    "paint",
    "change",
    "swap",
    "replace",
    "put",
    "render",
    "add",
    "remove",
    "take",
    "delete",
}


def _full(text: str) -> Scene | None:
    try:
        return scene_of(text)
    except ValueError:
        return None


@given(st.integers(0, 2**32 - 1))
def test_a_document_tells_neighbouring_scenes_that_may_be_seen_and_instructs_nobody(seed: int) -> None:
    text = document(np.random.default_rng(seed))
    lines = text.split("\n")
    scenes = [scene for scene in map(_full, lines) if scene]
    assert 2 <= len(scenes) <= 6
    assert _full(lines[0])
    assert _full(lines[-1])
    assert not any(reserved(scene) or scene.held_out for scene in scenes)
    assert not INSTRUCTIONS & set(text.split())
    for index, scene in enumerate(scenes[1:], 1):
        near = {other for before in scenes[:index] for _, other in variations(before)}
        more_or_less = any(
            len(scene.things) != len(before.things)
            and (scene.style, scene.ground, scene.sky) == (before.style, before.ground, before.sky)
            and (set(scene.things) < set(before.things) or set(before.things) < set(scene.things))
            for before in scenes[:index]
        )
        assert scene in near or more_or_less
