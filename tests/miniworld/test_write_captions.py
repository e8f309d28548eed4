from __future__ import annotations

import miniworld
from miniworld.language import scene_of
from miniworld.triples import reserved
from miniworld.write_captions import captions_text


def test_the_shipped_captions_are_those_that_are_drawn_and_unseen() -> None:
    shipped = miniworld.ALONE.read_text()
    assert shipped == captions_text()
    scenes = [scene_of(line) for line in shipped.splitlines()]
    assert len(set(scenes)) == len(scenes) >= 200
    assert all(map(reserved, scenes))
    assert sum(scene.held_out for scene in scenes[:48]) >= 20
