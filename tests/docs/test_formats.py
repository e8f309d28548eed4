from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

import miniworld
from conf.schema import Captions, Edit
from pipeline.dataset.card import CARD
from pipeline.planning.caption_input import read_captions
from stages.candidates.selection import sample_metadata
from stages.captions.fields import KNOWN
from stages.captions.pair_options import OPTIONS
from stages.formats import parquet_tables
from stages.records import Candidate, CaptionPair, Quarantined
from tests import runs
from tests.docs.snippets import ROOT
from tests.stages.unit_parts import candidate

TEXT = (ROOT / "docs" / "formats.md").read_text()
NAMES = {str: "text", int: "integer", float: "number", bool: "true or false"}


def table(name: str) -> dict[str, str]:
    """Field → type of the table below ``<!-- fields: NAME -->``."""
    block = TEXT.partition(f"<!-- fields: {name} -->\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", block, re.MULTILINE))


def sample(*settings: str) -> dict[str, str | int | float | bool]:
    """The JSON of a sample, made by the real code and read back."""
    made: Candidate = candidate(runs.PAIRS[4], 0, "")
    config = runs.config(Path("/m"), Path("/c"), *settings)
    return json.loads(json.dumps(sample_metadata(runs.PAIRS[4], made, config, "f")))


@pytest.mark.parametrize(
    "setting", ["model.revision=r", "sampler.guidance_interval=[1,5]", "edit.cross_gain=1"]
)
def test_the_json_of_a_sample_has_the_listed_fields(setting: str):
    assert {name: NAMES[type(value)] for name, value in sample(setting).items()} == table("json")


def test_the_scores_have_the_listed_columns():
    assert {field.name: str(field.type) for field in parquet_tables.SCORES} == table("scores")
    assert not any(field.nullable for field in parquet_tables.SCORES)


def test_the_card_describes_every_field():
    for field in table("json").keys() - {"guidance_interval"}:
        assert f"`{field}`" in CARD


def test_quarantined_lines_have_the_listed_fields():
    listed = TEXT.partition("`lines.jsonl`: ")[2].partition(". ")[0]
    assert re.findall(r"`(\w+)`", listed) == [field.name for field in fields(Quarantined)]


def test_the_three_texts_have_the_listed_names():
    block = TEXT.partition("## Input")[2]
    aliases = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|", block, re.MULTILINE)
    assert aliases == list(zip(*KNOWN.values(), strict=True))


def test_the_example_of_options_is_read_as_it_stands(tmp_path: Path):
    block = TEXT.partition("<!-- test: options -->\n```json\n")[2].partition("```")[0]
    (tmp_path / "pairs.jsonl").write_text(block)
    captions = Captions("jsonl", str(tmp_path / "pairs.jsonl"))
    pairs = list(read_captions(captions, None, (miniworld.MODEL,), Edit()))
    assert [getattr(pair, "reason", "") for pair in pairs] == [""] * 5
    used = {name for pair in pairs if isinstance(pair, CaptionPair) for name in json.loads(pair.options)}
    listed = re.findall(
        r"^\| `(\w+)` \| ", TEXT.partition("### Options")[2].partition("## ")[0], re.MULTILINE
    )
    assert used == set(listed) == set(OPTIONS)
