from __future__ import annotations

import miniworld
from miniworld.scene_captions import parse_caption
from miniworld.triples import is_reserved
from miniworld.write_captions import make_captions_text


def test_the_shipped_captions_are_those_that_are_drawn() -> None:
    shipped = miniworld.ALONE.read_text()
    assert shipped == make_captions_text()
    scenes = [parse_caption(line) for line in shipped.splitlines()]
    assert len(set(scenes)) == len(scenes) >= 200
    assert all(map(is_reserved, scenes))
    assert sum(scene.held_out for scene in scenes[:48]) >= 20
