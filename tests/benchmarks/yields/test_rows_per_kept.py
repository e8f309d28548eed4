from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.yields.rows_per_kept import FURTHER, TABLES, WAYS, shipped
from benchmarks.yields.sweep_log import Recorded, Tried, read
from pipeline.config.resolve import checked, compose

GOOD, POOR = (0.8, 0.8, 0.9, 0.8), (0.8, 0.8, 0.1, 0.2)


def test_what_was_cut_off_is_made_again(tmp_path: Path):
    line = {"pair": "a", "kind": "sky", "rows": 4, "seconds": 1.0, "candidates": [[0, 0.5, 5.0, GOOD, True]]}
    path = tmp_path / "way.jsonl"
    assert read(path) == []
    path.write_text(json.dumps(line) + "\n" + json.dumps(line)[:30])
    assert read(path) == [Recorded("a", "sky", 4, 1.0, (Tried(0, 0.5, 5.0, GOOD, True),))]


@pytest.mark.parametrize("way", [*WAYS, *FURTHER])
def test_every_way_is_a_configuration_that_can_be(way: str):
    config = checked(compose({**WAYS, **FURTHER}[way]))
    assert config.filter.max_per_pair == 4


def test_each_table_begins_with_the_published_procedure():
    assert {ways[0] for ways in TABLES} == {"instructpix2pix", "instructpix2pix-100"}
    assert {way for ways in TABLES for way in ways} <= {*WAYS, *FURTHER}


def test_the_procedures_differ_in_steps_alone():
    same = set(WAYS["instructpix2pix"]) ^ set(WAYS["instructpix2pix-100"])
    assert same == {"sampler.steps=12", "sampler.steps=100"}
    assert len({pair.id for pair, _ in shipped(200)}) == 200
