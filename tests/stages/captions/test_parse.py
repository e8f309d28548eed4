from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.captions.parse import pair_parser
from stages.captions.source_record import SourceRecord
from stages.records import CaptionPair, Quarantined

GOOD = {"input": "a red ball", "edit": "make it blue", "output": "a blue ball"}


def read(fields: dict[str, Any], line: int, captions_only: bool = False) -> CaptionPair | str:
    source = CaptionSource("jsonl", "pairs", captions_only=captions_only)
    return pair_parser(source)(SourceRecord("pairs", line, fields))


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


def test_other_fields_nested_without_end_are_refused() -> None:
    deep: list = []
    for _ in range(20_000):
        deep = [deep]
    reason = read({**GOOD, "deep": deep}, 1)
    while deep:
        deep = deep[0]
    assert reason == "its other fields are nested too deeply"


CAPTIONS = ["a photo of a red ball on grass by day", "a mosaic of a white boat on snow at night"]
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z"))).filter(
    lambda text: text.isprintable() and text
)


def read_file(path: Path, kind: str = "auto", **options: Any) -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource(kind, str(path), captions_only=True, **options)))


def write_file(folder: Path, kind: str) -> Path:
    records = [{"caption": text, "url": f"http://x/{index}"} for index, text in enumerate(CAPTIONS)]
    path = folder / f"captions.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    elif kind == "csv":
        path.write_text("caption,url\n" + "".join(f"{r['caption']},{r['url']}\n" for r in records))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_captions_keep_their_other_fields(tmp_path: Path, kind: str) -> None:
    expected = [CaptionPair(t, "", "", f'{{"url": "http://x/{i}"}}') for i, t in enumerate(CAPTIONS)]
    assert read_file(write_file(tmp_path, kind)) == expected


def test_a_dataset_of_captions(tmp_path: Path) -> None:
    write_file(tmp_path, "jsonl")
    assert [item.input for item in read_file(tmp_path, "dataset")] == CAPTIONS


def test_the_caption_field_may_be_named_and_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"title": "a red ball", "caption": "x"}\n{"caption": "x", "text": "y"}\n{"text": 3}\n{"a": "b"}\n'
    )
    assert read_file(path, fields={"input": "title"})[0] == CaptionPair(
        "a red ball", "", "", '{"caption": "x"}'
    )
    _, two, number, none = read_file(path)
    assert "could be 'caption' or 'text'" in two.reason
    assert number.reason == "field 'text' is a number, not text"
    assert none.reason.startswith("there is no input caption: no field 'input', 'caption'")
    with pytest.raises(CaptionsError, match="fields has 'edit'"):
        read_file(path, fields={"edit": "a"})


@given(st.dictionaries(TEXTS, TEXTS, max_size=3), st.sampled_from(["input", "caption", "text"]))
def test_nothing_is_lost_of_a_record_with_a_caption(other: dict[str, str], name: str) -> None:
    known = {"input", "caption", "original_prompt", "text", "prompt"}
    other = {key: text for key, text in other.items() if key not in known}
    pair = read({name: "a caption", **other}, 3, captions_only=True)
    assert isinstance(pair, CaptionPair)
    assert (pair.input, json.loads(pair.meta), pair.line) == ("a caption", other, 3)
