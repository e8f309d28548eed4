from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.report.gallery import MAP_SIDE, SIDE, Thumbnails, build_gallery
from pipeline.report.report_data import read_report_data
from tests.pipeline.report.outputs import output


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def size_of(uri: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size


def test_thumbnails_shrink_and_stop_at_the_budget():
    thumbnail = Thumbnails()
    assert size_of(thumbnail(png(1024, 512)) or "") == (SIDE, SIDE // 2)
    assert size_of(thumbnail(png(40, 20)) or "") == (40, 20)
    spent = Thumbnails(1)
    assert spent(png(8, 8))
    assert spent(png(8, 8)) is None


def test_cards_of_all_lists_have_their_captions_and_pictures(tmp_path: Path):
    store, results = output(str(tmp_path / "out"), 3)
    data = read_report_data(store)
    cards = build_gallery(store, data, Thumbnails())
    pairs = {result.unit.pairs[0].id: result.unit.pairs[0] for result in results[:3]}
    assert {card["key"].rpartition("-")[0] for card in cards["kept"]} == pairs.keys()
    for card in cards["kept"]:
        assert card["why"] == ""
        assert card["source"] != card["edited"]
    for card in (*cards["near"], *cards["worst"]):
        assert card["why"]
        assert card["input"] == pairs[card["key"].rpartition("-")[0]].input


def test_the_strip_has_maps_of_words_without_punctuation(tmp_path: Path):
    store, _ = output(str(tmp_path / "out"), 1)
    (strip,) = build_gallery(store, read_report_data(store), Thumbnails())["strips"]
    source, edit = strip["maps"]
    assert (source["tau"], edit["tau"]) == (None, strip["edits"][1]["tau"])
    assert [entry["word"] for entry in source["words"]] == ["a", "ball", "<b>"]
    assert [entry["word"] for entry in edit["words"]] == ["a", "blue", "ball"]
    assert all(size_of(entry["picture"]) == (MAP_SIDE, MAP_SIDE) for entry in edit["words"])
