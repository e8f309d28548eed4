from __future__ import annotations

import datetime
import decimal
import gzip
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.captions.reader import pair_parser, to_json
from stages.captions.source import SourceRecord
from stages.records import CaptionPair, Quarantined

ROWS = [{"input": f"a red ball {n}", "edit": "make it blue", "output": f"a blue ball {n}"} for n in range(5)]
PAIRS = [CaptionPair(**row) for row in ROWS]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = ("input,edit,output\n" + "".join(",".join(row.values()) + "\n" for row in ROWS)).encode()


def auto(path: Path, **options) -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource("auto", str(path), **options)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pairs.jsonl", LINES),
        ("pairs.ndjson", LINES),
        ("PAIRS.JSONL", LINES),
        ("pairs.jsonl.gz", gzip.compress(LINES, mtime=0)),
        ("pairs.csv", TABLE),
        ("pairs.csv.gz", gzip.compress(TABLE, mtime=0)),
        ("more.pairs.csv", TABLE),
    ],
)
def test_the_name_says_the_kind(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert auto(tmp_path / name) == PAIRS


def test_parquet_is_known_by_name_folder_and_glob(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "pairs.parquet")
    for path in (tmp_path / "pairs.parquet", tmp_path, tmp_path / "*.parquet"):
        assert auto(path) == PAIRS


@pytest.mark.parametrize("name", ["pairs.md", "pairs", "pairs.json", "owner/name", "."])
def test_a_name_without_a_known_format_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptionsError, match="give captions=jsonl, csv, parquet, webdataset or dataset"):
        auto(tmp_path / name)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_missing_file_is_an_error_that_names_what_is_near(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"pairs.{kind}").write_bytes(b"")
    with pytest.raises(CaptionsError, match=rf"pair\.{kind}: no .*did you mean .*pairs\.{kind}\?"):
        open_captions(CaptionSource(kind, str(tmp_path / f"pair.{kind}")))
    with pytest.raises(CaptionsError, match="absent"):
        open_captions(CaptionSource(kind, str(tmp_path / "absent" / "x")))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_folder_is_no_file(tmp_path: Path, kind: str) -> None:
    with pytest.raises(CaptionsError, match="is a folder: name a file in it"):
        open_captions(CaptionSource(kind, str(tmp_path)))


def test_what_else_cannot_be_asked_for_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(LINES)
    with pytest.raises(
        CaptionsError, match=r"captions.kind 'jsnl' is unknown; there are jsonl, csv.* \(did you mean jsonl\?"
    ):
        open_captions(CaptionSource("jsnl", str(path)))
    with pytest.raises(CaptionsError, match="limit is -1"):
        open_captions(CaptionSource("jsonl", str(path), limit=-1))
    with pytest.raises(CaptionsError, match="fields has 'edited'"):
        open_captions(CaptionSource("jsonl", str(path), fields={"edited": "x"}))


def test_the_limit_counts_good_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"bad\n" + LINES)
    for limit in range(6):
        items = auto(path, limit=limit)
        assert [item for item in items if isinstance(item, CaptionPair)] == PAIRS[:limit]
    assert auto(path, limit=0) == []
    assert auto(path, limit=99) == auto(path)


def test_given_names_are_read_from_every_kind(tmp_path: Path) -> None:
    fields = {"input": "von", "output": "nach"}
    row = {"von": "a", "edit": "b", "nach": "c", "input": "not this one"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    (tmp_path / "a.csv").write_text(",".join(row) + "\n" + ",".join(row.values()))
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert auto(tmp_path / name, fields=fields) == [
            CaptionPair("a", "b", "c", '{"input": "not this one"}')
        ]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_memory_does_not_grow_with_the_source(tmp_path: Path, kind: str) -> None:
    """A source of some 90 MB of text is read in a process that may take little more than it needs to start."""
    filler = "x" * 9000
    rows = [{"input": f"a {n}", "edit": filler, "output": f"b {n}"} for n in range(100)]
    path = tmp_path / f"big.{kind}"
    if kind == "parquet":
        table = pa.Table.from_pylist(rows)
        with pq.ParquetWriter(path, table.schema, compression="none") as writer:
            for _ in range(100):
                writer.write_table(table)
    else:
        with path.open("w") as stream:
            stream.write("input,edit,output\n" if kind == "csv" else "")
            for _ in range(100):
                stream.writelines(
                    (",".join(row.values()) if kind == "csv" else json.dumps(row)) + "\n" for row in rows
                )
    program = (
        "import resource, sys\n"
        "from stages.captions import CaptionSource, open_captions\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"items = open_captions(CaptionSource({kind!r}, {str(path)!r}))\n"
        "next(items); start = peak(); count = 1 + sum(1 for _ in items); print(count, peak() - start)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    count, kilobytes = map(int, done.stdout.split())
    assert count == 10_000
    assert kilobytes < 40_000


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


def test_what_json_has_no_form_for_becomes_text() -> None:
    others = {
        "date": datetime.date(2024, 1, 2),
        "time": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "price": decimal.Decimal("1.10"),
        "id": uuid.UUID(int=1),
        "nan": [float("nan"), {"inf": float("-inf")}],
        "bytes": b"caf\xc3\xa9\xff",
    }
    assert json.loads(to_json(others)) == {
        "date": "2024-01-02",
        "time": "2024-01-02T03:04:05+00:00",
        "price": "1.10",
        "id": "00000000-0000-0000-0000-000000000001",
        "nan": ["nan", {"inf": "-inf"}],
        "bytes": "café\ufffd",
    }
