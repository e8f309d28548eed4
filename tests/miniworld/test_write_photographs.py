from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from miniworld.edits import EDITS
from miniworld.scene_captions import caption
from miniworld.write_photographs import COUNT, draw_photographs, write_photographs


def test_every_kind_of_edit_begins_with_a_photograph() -> None:
    drawn = list(draw_photographs())
    assert len(drawn) == COUNT
    assert {edit.kind for edit, _ in drawn} == set(EDITS)
    for edit, _ in drawn:
        assert edit.before.style == "photo"
        assert edit.before != edit.after
        assert (edit.after.style != "photo") == (edit.kind == "style")


def test_the_records_name_the_pictures_of_their_captions(tmp_path: Path) -> None:
    records = [json.loads(line) for line in write_photographs(tmp_path, 3).read_text().splitlines()]
    for record, (edit, picture) in zip(records, draw_photographs(3), strict=True):
        assert record["input"] == caption(edit.before)
        assert np.array_equal(np.asarray(Image.open(tmp_path / record["image"])), picture)
