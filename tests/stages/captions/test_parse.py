from __future__ import annotations

import datetime
import decimal
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions.meta import as_json
from stages.captions.parse import pair_reader
from stages.captions.source_record import Row, Rows
from stages.records import CaptionPair

GOOD = {"input": "a red ball", "edit": "make it blue", "output": "a blue ball"}


def read(record: dict[str, Any], line: int) -> CaptionPair | str:
    (pair,) = pair_reader({})(Rows([Row("pairs", line, record)]))
    return pair


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_the_texts_are_stripped_and_the_line_remembered() -> None:
    pair = read({"input": " a red ball\n", "edit": "\tmake it blue", "output": "a blue ball  "}, 7)
    assert pair == CaptionPair("a red ball", "make it blue", "a blue ball")
    assert isinstance(pair, CaptionPair)
    assert pair.line == 7


@pytest.mark.parametrize("field", ["input", "edit", "output"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is null, not text"),
        (3, "is a number, not text"),
        (0.5, "is a number, not text"),
        (True, "is true or false, not text"),
        (["a"], "is a list, not text"),
        ({"a": 1}, "is an object, not text"),
        (datetime.date(2024, 1, 2), "is a date, not text"),
        (b"\xff", "is not UTF-8"),
        ("", "is empty"),
        (" \t\r\n\u00a0\u2003", "is empty"),
        ("\u200b\u2060", "has nothing that can be seen"),
        ("a\0b", "holds a control character (U+0000)"),
        ("a\x1b[31mb", "holds a control character (U+001B)"),
        ("one\ntwo", "holds a control character (U+000A)"),
        ("a\x85b", "holds a control character (U+0085)"),
        ("a\ud800", "holds half of a surrogate pair (U+D800)"),
    ],
)
def test_a_field_that_is_no_caption_is_named_with_what_is_wrong(
    field: str, value: object, reason: str
) -> None:
    assert read({**GOOD, field: value}, 1) == f"field {field!r} {reason}"


@pytest.mark.parametrize(
    "text", ["café à la crème", "红色的球", "מימין לשמאל", "a\u00a0ball", "👩‍🚀", "a\u2028b"]
)
def test_other_writings_are_captions_too(text: str) -> None:
    assert read({**GOOD, "input": text}, 1) == CaptionPair(text, GOOD["edit"], GOOD["output"])


def test_equal_captions_show_no_edit() -> None:
    assert read({**GOOD, "output": " a red ball "}, 1) == (
        "fields 'input' and 'output' are the same text: there is no edit to show"
    )


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_accepted_can_be_encoded_and_has_an_id(text: str) -> None:
    for field in GOOD:
        pair = read({**GOOD, field: text}, 1)
        if isinstance(pair, CaptionPair):
            assert len(pair.id) == 16
            assert all(part == part.strip() and part for part in (pair.input, pair.edit, pair.output))
        else:
            assert repr(field) in pair


@given(st.dictionaries(st.text(max_size=5).filter(lambda name: name not in GOOD), JSON, max_size=4))
def test_other_fields_travel_as_json_that_is_valid_and_canonical(others: dict) -> None:
    pair = read({**others, **GOOD}, 1)
    if isinstance(pair, str):
        assert "could be" in pair
        return
    strict = json.loads(pair.meta, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    plain = json.dumps(strict, ensure_ascii=False, sort_keys=True)
    assert pair.meta == (plain if is_utf8(plain) else json.dumps(strict, sort_keys=True))
    assert set(strict) == set(others)
    backwards = dict(reversed(list({**others, **GOOD}.items())))
    assert read(backwards, 1) == pair
    pair.meta.encode()


def is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def test_what_json_has_no_form_for_becomes_text() -> None:
    others = {
        "date": datetime.date(2024, 1, 2),
        "time": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "price": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=1),
        "nan": [float("nan"), {"inf": float("-inf")}],
        "bytes": b"caf\xc3\xa9\xff",
    }
    assert json.loads(as_json(others)) == {
        "date": "2024-01-02",
        "time": "2024-01-02T03:04:05+00:00",
        "price": "1.10",
        "id": "00000000-0000-0000-0000-000000000001",
        "nan": ["nan", {"inf": "-inf"}],
        "bytes": "café\ufffd",
    }


def test_other_fields_nested_without_end_are_refused() -> None:
    deep: list = []
    for _ in range(20_000):
        deep = [deep]
    reason = read({**GOOD, "deep": deep}, 1)
    while deep:
        deep = deep[0]
    assert reason == "its other fields are nested too deeply"
