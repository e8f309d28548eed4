from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import resolve
from pipeline.pairs import output_file
from stages.candidates.requests import derive_seed
from stages.captions import CaptionSource, open_captions
from stages.formats import parquet_tables
from stages.records import CaptionPair, Unit
from stages.write_pairs import WritePairs
from tests.pictures import write_picture_pairs
from tests.pipeline.pairs import small
from tests.stages.writers.openai_server import KEY, MODEL, Server, serving

UNIT = Unit(0, tuple(CaptionPair(text, "", "", '{"url": "x"}') for text in small.CAPTIONS[:4]))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving() as one:
        yield one


def test_every_edit_of_every_caption_has_its_own_seed(tmp_path: Path) -> None:
    stage = WritePairs(resolve.read_pairs_settings(small.settings(tmp_path, "edits=3", "seed=5")), "")
    result = stage(UNIT)
    assert [(one.pair_id, one.sample_index) for one in result.answers] == [
        (caption.id, index) for caption in UNIT.pairs for index in range(3)
    ]
    assert [one.seed for one in result.answers] == [
        derive_seed(5, caption.id, index) for caption in UNIT.pairs for index in range(3)
    ]
    assert parquet_tables.answers_of(parquet_tables.answers_table(result.answers)) == list(result.answers)
    alone = [one for caption in UNIT.pairs for one in stage(Unit(9, (caption,))).answers]
    assert alone == list(result.answers)


def test_a_caption_without_an_answer_fails_alone(tmp_path: Path, server: Server) -> None:
    more = ["writer=openai", f"writer.model={MODEL}", f"writer.endpoint={server.url}", "writer.concurrency=1"]
    stage = WritePairs(resolve.read_pairs_settings(small.settings(tmp_path, *more)), "")
    server.faults.extend(["", "", "", 400])
    result = stage(UNIT)
    (failure,) = result.failures
    assert failure.pair_id == UNIT.pairs[1].id
    assert failure.reason.startswith("HTTP 400")
    assert {one.pair_id for one in result.answers} == {UNIT.pairs[k].id for k in (0, 2, 3)}


def test_written_pairs_keep_the_image_of_their_caption(tmp_path: Path) -> None:
    write_picture_pairs(tmp_path, 1)
    captions = tmp_path / "captions.jsonl"
    captions.write_text(json.dumps({"caption": small.CAPTIONS[0], "image": "photos/0.png"}) + "\n")
    source = CaptionSource("jsonl", str(captions), captions_only=True, images=str(tmp_path))
    (caption,) = open_captions(source)
    assert isinstance(caption, CaptionPair)
    (tmp_path / "run").mkdir()
    stage = WritePairs(resolve.read_pairs_settings(small.settings(tmp_path / "run")), "")
    answers = stage(Unit(0, (caption,))).answers
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_bytes(b"".join(map(output_file.line, answers)))
    for pair in open_captions(CaptionSource("jsonl", str(pairs), images=str(tmp_path))):
        assert isinstance(pair, CaptionPair)
        assert pair.image == caption.image
