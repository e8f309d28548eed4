from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.captions.caption import caption_reader
from stages.captions.source_record import Row, Rows
from stages.records import CaptionPair, Quarantined

CAPTIONS = ["a photo of a red ball on grass by day", "a mosaic of a white boat on snow at night"]
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z"))).filter(
    lambda text: text.isprintable() and text
)


def read(path: Path, kind: str = "auto", **options: object) -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource(kind, str(path), alone=True, **options)))


def write(folder: Path, kind: str) -> Path:
    rows = [{"caption": text, "url": f"http://x/{index}"} for index, text in enumerate(CAPTIONS)]
    path = folder / f"captions.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        path.write_text("caption,url\n" + "".join(f"{row['caption']},{row['url']}\n" for row in rows))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_captions_keep_their_other_fields(tmp_path: Path, kind: str) -> None:
    expected = [CaptionPair(t, "", "", f'{{"url": "http://x/{i}"}}') for i, t in enumerate(CAPTIONS)]
    assert read(write(tmp_path, kind)) == expected


def test_a_dataset(tmp_path: Path) -> None:
    write(tmp_path, "jsonl")
    assert [item.input for item in read(tmp_path, "dataset")] == CAPTIONS


def test_text_is_a_caption_a_line(tmp_path: Path) -> None:
    path = tmp_path / "captions.txt"
    path.write_bytes(f"{CAPTIONS[0]}\n\n  {CAPTIONS[1]} \r\n\xff\n".encode("latin-1"))
    *good, bad = read(path)
    assert good == [CaptionPair(text, "", "") for text in CAPTIONS]
    assert isinstance(bad, Quarantined)
    assert (bad.line, bad.reason) == (4, "not UTF-8: byte 1 of the line is 0xFF")
    with pytest.raises(CaptionsError, match="pairforge pairs"):
        open_captions(CaptionSource("auto", str(path)))


def test_the_field_may_be_named_and_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"title": "a red ball", "caption": "x"}\n{"caption": "x", "text": "y"}\n{"text": 3}\n{"a": "b"}\n'
    )
    assert read(path, fields={"input": "title"})[0] == CaptionPair("a red ball", "", "", '{"caption": "x"}')
    _, two, number, none = read(path)
    assert "could be 'caption' or 'text'" in two.reason
    assert number.reason == "field 'text' is a number, not text"
    assert none.reason.startswith("there is no input caption: no field 'input', 'caption'")
    with pytest.raises(CaptionsError, match="fields has 'edit'"):
        read(path, fields={"edit": "a"})


@given(
    st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), min_size=1),
    st.sampled_from(["input", "caption", "text"]),
)
def test_nothing_is_lost_of_a_row(others: list[dict[str, str]], name: str) -> None:
    known = {"input", "caption", "original_prompt", "text", "prompt"}
    others = [{key: text for key, text in other.items() if key not in known} for other in others]
    rows = [Row("f", line, {name: f"caption {line}", **other}) for line, other in enumerate(others, 1)]
    read_ = caption_reader({})(Rows(rows))
    assert [(one.input, json.loads(one.meta), one.line) for one in read_] == [
        (f"caption {line}", other, line) for line, other in enumerate(others, 1)
    ]
