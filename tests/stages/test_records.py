from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.records import CaptionPair, instruction_kind, instruction_kind_or_verb

PAIRS = st.builds(CaptionPair, st.text(), st.text(), st.text(), st.text(), st.integers(0, 99))


@given(PAIRS)
def test_the_id_is_a_digest_of_the_three_texts_alone(pair: CaptionPair) -> None:
    texts = [pair.input, pair.edit, pair.output]
    canonical = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    assert pair.id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
    assert CaptionPair(*texts).id == pair.id
    assert "id" not in asdict(pair)


@given(PAIRS)
def test_the_text_is_the_json_of_the_fields(pair: CaptionPair) -> None:
    assert pair.text == json.dumps(pair.fields(), ensure_ascii=False, sort_keys=True)
    assert CaptionPair(**json.loads(pair.text)) == pair


def test_options_are_part_of_the_identity_and_absent_without_any() -> None:
    plain, own = CaptionPair("a", "b", "c"), CaptionPair("a", "b", "c", options='{"only": ["c"]}')
    assert own != plain
    assert own.id != plain.id
    assert CaptionPair(**json.loads(own.text)) == own
    assert "options" not in plain.text
    assert "options" not in plain.fields()


def test_an_image_is_part_of_the_identity_by_its_digest_alone() -> None:
    plain, own = CaptionPair("a", "b", "c"), CaptionPair("a", "b", "c", image="1f a b.png")
    assert (own.image_sha256, own.image_place) == ("1f", "a b.png")
    assert CaptionPair("a", "b", "c", image="1f c.png").id == own.id
    # A pair whose options are the digest is another one.
    assert len({plain.id, own.id, CaptionPair("a", "b", "c", options="1f").id}) == 3
    assert CaptionPair(**json.loads(own.text)) == own
    assert own.text == json.dumps(own.fields(), ensure_ascii=False, sort_keys=True)
    assert "image" not in plain.text
    assert "image" not in plain.fields()


def test_the_line_does_not_count_for_equality_and_the_rest_does() -> None:
    pair = CaptionPair("a", "b", "c", '{"d": 1}', 1)
    assert pair == CaptionPair("a", "b", "c", '{"d": 1}', 2)
    assert pair != CaptionPair("a", "b", "c", "{}", 1)
    assert pair != CaptionPair("a", "b", "x", '{"d": 1}', 1)


@pytest.mark.parametrize(
    ("meta", "edit", "kind", "kind_or_verb"),
    [
        ("{}", "Make it blue", "", "make"),
        ('{"kind": "colour"}', "make it blue", "colour", "colour"),
        ('{"edit_kind": "sky"}', "make it night", "sky", "sky"),
        ('{"kind": "colour", "edit_kind": "sky"}', "make it blue", "colour", "colour"),
        ('{"kind": 3}', "add a boat", "3", "3"),
        ('{"kind": ""}', "", "", ""),
    ],
)
def test_the_kind_is_a_field_of_the_record_or_the_verb(
    meta: str, edit: str, kind: str, kind_or_verb: str
) -> None:
    pair = CaptionPair("a", edit, "b", meta)
    assert (instruction_kind(pair), instruction_kind_or_verb(pair)) == (kind, kind_or_verb)
