from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from miniworld.edits import EDITS
from miniworld.scene import random_scene
from miniworld.scene_captions import parse_caption
from miniworld.triples import COUNT, draw_triples, draw_unseen_captions, is_reserved


def test_triples_extend_each_other_and_none_is_reserved() -> None:
    many = list(draw_triples(COUNT))
    assert len(set(many)) == COUNT == 700
    assert list(draw_triples(50)) == many[:50]
    assert set(Counter(edit.kind for edit in many)) == set(EDITS)
    for edit in many:
        for scene in (edit.before, edit.after):
            assert not scene.held_out
            assert not is_reserved(scene)


@pytest.mark.parametrize("held_out", [False, True])
def test_unseen_captions_are_reserved(held_out: bool) -> None:
    texts = draw_unseen_captions(40, held_out)
    scenes = [parse_caption(text) for text in texts]
    assert all(is_reserved(scene) and scene.held_out is held_out for scene in scenes)
    assert draw_unseen_captions(10, held_out) == texts[:10]


def test_one_scene_in_eight_is_reserved() -> None:
    rng = np.random.default_rng(0)
    share = np.mean([is_reserved(random_scene(rng, held_out=None)) for _ in range(2000)])
    assert share == pytest.approx(1 / 8, abs=0.03)
