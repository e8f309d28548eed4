from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.report.gallery import MAP_SIDE, SIDE, Thumbnails, build_gallery
from pipeline.report.report_data import read_report_data
from stages.candidates.sheet_previews import encode_thumbnail
from stages.storage.commits import commit_name, read_commit
from stages.storage.store import Store
from tests.pipeline.report.outputs import output


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def drop_pictures(store: Store, units: Iterable[int]) -> None:
    """Leave out the pictures of rejected candidates, as an output without them has it."""
    for index in units:
        record = read_commit(store, index)
        part = {kind: file for kind, file in record["part"].items() if kind not in ("previews", "thumbnails")}
        store.write_record(commit_name(index), record | {"part": part})


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
    gallery = build_gallery(store, data, Thumbnails())
    cards = gallery.cards
    pairs = {result.unit.pairs[0].id: result.unit.pairs[0] for result in results[:3]}
    assert {card["key"].rpartition("-")[0] for card in cards["kept"]} == pairs.keys()
    for card in cards["kept"]:
        assert card["why"] == ""
        assert card["source"] != card["edited"]
    for card in (*cards["near"], *cards["worst"]):
        assert card["why"]
        assert card["source"] != card["edited"]
        assert card["input"] == pairs[card["key"].rpartition("-")[0]].input


def test_the_strip_has_maps_of_words_without_punctuation(tmp_path: Path):
    store, _ = output(str(tmp_path / "out"), 1)
    (strip,) = build_gallery(store, read_report_data(store), Thumbnails()).cards["strips"]
    source, edit = strip["maps"]
    assert (source["tau"], edit["tau"]) == (None, strip["edits"][1]["tau"])
    assert [entry["word"] for entry in source["words"]] == ["a", "ball", "<b>"]
    assert [entry["word"] for entry in edit["words"]] == ["a", "blue", "ball"]
    assert all(size_of(entry["picture"]) == (MAP_SIDE, MAP_SIDE) for entry in edit["words"])


def test_small_webp_pictures_are_taken_as_they_are():
    small = encode_thumbnail(np.full((40, 20, 3), 90, np.uint8))
    assert Thumbnails()(small) == "data:image/webp;base64," + base64.b64encode(small).decode()
    large = io.BytesIO()
    Image.new("RGB", (2 * SIDE, SIDE)).save(large, "WEBP")
    assert size_of(Thumbnails()(large.getvalue()) or "") == (SIDE, SIDE // 2)


def test_rejected_are_chosen_among_those_with_pictures(tmp_path: Path):
    store, results = output(str(tmp_path / "out"), 4)
    drop_pictures(store, (1, 3))
    gallery = build_gallery(store, read_report_data(store), Thumbnails())
    pictured = {results[index].unit.pairs[0].id for index in (0, 2)}
    missed = [*gallery.cards["near"], *gallery.cards["worst"]]
    assert {card["key"].rpartition("-")[0] for card in missed} == pictured
    assert all(card["source"] and card["edited"] for card in missed)
    assert (gallery.drawn_from, gallery.missed) == (2, 4)


def test_without_any_picture_every_rejected_candidate_counts(tmp_path: Path):
    store, results = output(str(tmp_path / "out"), 4)
    drop_pictures(store, range(4))
    gallery = build_gallery(store, read_report_data(store), Thumbnails())
    near = gallery.cards["near"]
    assert {card["key"].rpartition("-")[0] for card in near} == {
        result.unit.pairs[0].id for result in results[:4]
    }
    assert all(card["source"] is card["edited"] is None and card["why"] for card in near)
    assert (gallery.drawn_from, gallery.missed) == (4, 4)
