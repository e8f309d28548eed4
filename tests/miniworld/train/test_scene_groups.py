from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from miniworld.drawing.draw import draw
from miniworld.train.scene_groups import PER_GROUP, load_groups, make_group


def test_a_group_is_a_scene_and_its_edit_in_two_layouts() -> None:
    one = make_group(0, 17)
    assert one.scenes[0] == one.scenes[1] != one.scenes[2] == one.scenes[3]
    assert one.layouts[0] == one.layouts[2] != one.layouts[1] == one.layouts[3]
    assert not any(scene.held_out for scene in one.scenes)
    assert make_group(0, 17) == one != make_group(1, 17)


@pytest.mark.timeout(120)
def test_groups_are_in_order_and_drawn_once(tmp_path: Path) -> None:
    images = load_groups(tmp_path, 3, 5)
    assert images.shape == (5 * PER_GROUP, 64, 64, 3)
    for index in range(5):
        one = make_group(3, index)
        for i in range(PER_GROUP):
            assert np.array_equal(images[index * PER_GROUP + i], draw(one.scenes[i], one.layouts[i]))
    stamp = next(tmp_path.iterdir()).stat().st_mtime_ns
    load_groups(tmp_path, 3, 5)
    assert next(tmp_path.iterdir()).stat().st_mtime_ns == stamp
