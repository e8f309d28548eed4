from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conf.schema import ImageFormat
from pipeline.dataset import contact_sheet
from stages import write
from stages.records import CaptionPair, Preview
from stages.storage.commits import read_commits
from stages.storage.store import DamageError, Store
from tests.stages.unit_parts import candidate, picture
from tests.stages.unit_results import unit_result

PAIR = CaptionPair("a red ball", "make it blue", "a blue ball")


def shown(edits: int, kept: int | None = None) -> Preview:
    candidates = tuple(candidate(PAIR, k, "" if k == kept else "clip_sim_dir") for k in range(edits))
    return Preview(PAIR, picture(1), tuple(picture(2 + k) for k in range(edits)), candidates)


def draw(*previews: Preview) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(contact_sheet.draw(previews))))


def count_pixels(sheet: np.ndarray, colour: str) -> int:
    rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return int((sheet == rgb).all(axis=2).sum())


def test_a_sheet_has_a_line_a_pair_and_a_column_an_edit():
    one, two, wide = draw(shown(1)), draw(shown(1), shown(1)), draw(shown(3))
    line = two.shape[0] - one.shape[0]
    assert line >= contact_sheet.PICTURE
    assert draw(shown(1), shown(1), shown(3)).shape == (two.shape[0] + line, wide.shape[1], 3)
    assert wide.shape[1] - one.shape[1] == 2 * (contact_sheet.PICTURE + contact_sheet.GAP)


def test_kept_edits_alone_have_a_frame():
    frame = 4 * 4 * contact_sheet.PICTURE
    assert count_pixels(draw(shown(2)), contact_sheet.KEPT) < frame
    assert count_pixels(draw(shown(2, kept=1)), contact_sheet.KEPT) > frame


def test_a_long_instruction_stays_in_its_lines():
    words = replace(shown(1), pair=replace(PAIR, edit="word " * 200))
    assert draw(words).shape == draw(shown(1)).shape


def test_previews_of_all_units_are_read_in_order(tmp_path: Path):
    store = Store(str(tmp_path))
    results = [unit_result(unit, 1, previews=previews) for unit, previews in enumerate((1, 0, 1))]
    for result in results:
        write.write_unit(store, write.encode_part(result, ImageFormat.png), write.summarise(result))
    commits = list(read_commits(store, range(3)))
    wanted = [preview for result in results for preview in result.previews]
    assert list(contact_sheet.read_previews(store, commits)) == wanted
    store.remove(commits[2]["part"]["previews"]["name"])
    with pytest.raises(DamageError):
        list(contact_sheet.read_previews(store, commits))
