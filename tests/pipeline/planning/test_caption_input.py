from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.schema import Captions, Edit, TooLong
from p2p import ModelError
from pipeline.planning.caption_input import digest_of_files, read_captions
from stages.captions import CaptionsError
from stages.records import CaptionPair, Quarantined
from tests.models import clip_tokenizer

TOKENIZER = clip_tokenizer()
LIMIT = 20


def record(n: int, **others: object) -> dict[str, object]:
    return {"input": f"a red ball {n}", "edit": "make it blue", "output": f"a blue ball {n}", **others}


@pytest.fixture(scope="module")
def model(sd1_folder: Path) -> tuple[Path]:
    return (sd1_folder,)


def read(
    path: Path, model: tuple[Path], limit: int | None = None, block: Sequence[str] = (), **edit: Any
) -> list[CaptionPair | Quarantined]:
    return list(read_captions(Captions("auto", str(path), block=list(block)), limit, model, Edit(**edit)))


def write(path: Path, records: list[object]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_every_line_is_a_pair_or_set_aside_in_its_order(tmp_path: Path, model: tuple[Path]) -> None:
    long = record(2, output="hexagon " * 20)
    path = write(tmp_path / "pairs.jsonl", [record(1), 7, long, record(3), record(1, url="x"), long])
    tokens = len(TOKENIZER("hexagon " * 20).input_ids)
    too_long = f"the output caption has {tokens} tokens, the model's text encoder takes {LIMIT}: "
    too_long += "shorten it, or cut it with edit.too_long=truncate"
    items = read(path, model)
    assert [(item.line, getattr(item, "reason", "")) for item in items] == [
        (1, ""),
        (2, "not an object with fields but a number"),
        (3, too_long),
        (4, ""),
        (5, "the same caption pair stands on line 1"),
        (6, too_long),
    ]
    assert items[4] == Quarantined(str(path), 5, items[4].reason, json.dumps(record(1, url="x")))


def test_a_pair_of_another_file_is_named_with_its_file(tmp_path: Path, model: tuple[Path]) -> None:
    for name, records in (("a", [record(1), record(2)]), ("b", [record(3), record(2)])):
        pq.write_table(pa.Table.from_pylist(records), tmp_path / f"{name}.parquet")
    *_, last = read(tmp_path, model)
    assert last.reason == f"the same caption pair stands on line 2 of {tmp_path / 'a.parquet'}"
    assert (last.file, last.line) == (str(tmp_path / "b.parquet"), 2)


def test_the_limit_counts_what_passes_everything(tmp_path: Path, model: tuple[Path]) -> None:
    records = [record(1), record(1), 7, record(2, input="hexagon " * 20), record(3), record(4)]
    path = write(tmp_path / "pairs.jsonl", records)
    assert [item.line for item in read(path, model, 2) if isinstance(item, CaptionPair)] == [1, 5]
    assert [item.line for item in read(path, model, 2)] == [1, 2, 3, 4, 5]
    assert read(path, model, 0) == []


def test_a_source_that_is_not_there_is_an_error_at_once(tmp_path: Path, model: tuple[Path]) -> None:
    with pytest.raises(CaptionsError, match="no such file"):
        read_captions(Captions("auto", str(tmp_path / "absent.jsonl")), None, model, Edit())


def test_a_tokenizer_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", [record(1)])
    with pytest.raises(ModelError, match="none"):
        read_captions(Captions("auto", str(path)), None, (tmp_path / "none",), Edit())


def test_the_first_check_that_fails_gives_the_reason(tmp_path: Path, model: tuple[Path]) -> None:
    """The order is: the record itself, the blocklist, the tokens, the duplicates. A rejected pair is no duplicate."""
    long = record(1, input="bloody hexagon " * 20)
    records = [
        record(1, edit="bloody"),
        record(1, edit="bloody"),
        long,
        {**long, "edit": ""},
        record(2),
        record(2),
    ]
    path = write(tmp_path / "pairs.jsonl", records)
    words = [getattr(item, "reason", "") for item in read(path, model, block=["bloody"])]
    expected = ["captions.block", "captions.block", "captions.block", "is empty", "", "same caption pair"]
    assert all(part in reason for part, reason in zip(expected, words, strict=True))
    assert "tokens" in read(path, model)[2].reason


def test_captions_that_are_truncated_may_be_long(tmp_path: Path, model: tuple[Path]) -> None:
    path = write(tmp_path / "pairs.jsonl", [record(1, input="hexagon " * 90), record(2)])
    assert [item.line for item in read(path, model) if isinstance(item, CaptionPair)] == [2]
    assert [
        item.line for item in read(path, model, too_long=TooLong.truncate) if isinstance(item, CaptionPair)
    ] == [1, 2]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The first page of a process's memory: a file that opens and has no byte to read, for every user."""
    path = tmp_path / "pairs.jsonl"
    path.symlink_to("/proc/self/mem")
    with pytest.raises(CaptionsError, match=f"captions.path={path} cannot be read: input/output error"):
        digest_of_files(Captions("jsonl", str(path)), None, "")


@given(st.lists(st.integers(0, 9), max_size=30))
def test_each_pair_comes_once_where_it_stands_first(tmp_path_factory, model, numbers: list[int]) -> None:
    path = write(tmp_path_factory.mktemp("read") / "pairs.jsonl", [record(n) for n in numbers])
    items = read(path, model)
    assert len(items) == len(numbers)
    for line, (number, item) in enumerate(zip(numbers, items, strict=True), 1):
        first = numbers.index(number) + 1
        if first == line:
            assert item == CaptionPair(**record(number))
        else:
            assert item.reason == f"the same caption pair stands on line {first}"


WORDS = st.lists(
    st.sampled_from(
        ["red", "ball", "hexagon", "café", "红", "%s", "{0}", "'", '"', "\\", "\u2028", "\t", " ", "\ud800"]
    ),
    max_size=22,
)
TEXTS = WORDS.map(" ".join)
RECORDS = st.fixed_dictionaries(
    {"input": TEXTS, "edit": TEXTS, "output": TEXTS},
    optional={"url": TEXTS, "a %d": TEXTS, 'b"': TEXTS, "n": st.integers() | st.none() | st.floats()},
)
USUAL = st.builds(lambda n: json.dumps(record(n, url=f"x/{n}")), st.integers(0, 20))
ODD = st.one_of(
    st.builds(lambda record, ascii: json.dumps(record, ensure_ascii=ascii), RECORDS, st.booleans()),
    st.builds(lambda record: json.dumps(dict(reversed(record.items()))), RECORDS),
    st.sampled_from(
        ["", "  ", "7", "{", '{"input": "a"}', '{"input": "a", "input": "b"}', "\x00", '"', '{"a":\r"b"}']
    ),
)
LINES = st.lists(st.one_of(USUAL, USUAL, USUAL, ODD), max_size=30)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_every_line_is_told_and_ids_are_canonical(
    tmp_path_factory, model, lines: list[str], end: str, ended: bool, marked: bool
) -> None:
    path = tmp_path_factory.mktemp("read") / "pairs.jsonl"
    text = ("\ufeff" if marked else "") + end.join(lines) + (end if ended else "")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    items = read(path, model)
    assert [item.line for item in items] == [n for n, line in zip(count(1), lines) if line.strip(" ")]
    for pair in items:
        if isinstance(pair, CaptionPair):
            canonical = json.dumps(
                [pair.input, pair.edit, pair.output], ensure_ascii=False, separators=(",", ":")
            )
            assert pair.id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
            assert pair.text == json.dumps(pair.fields(), ensure_ascii=False, sort_keys=True)
            fields = json.loads(lines[pair.line - 1])
            assert [pair.input, pair.edit, pair.output] == [
                fields[name].strip() for name in ("input", "edit", "output")
            ]


def test_the_digest_of_a_folder_is_of_the_files_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"tar")
    samples, any_kind = (Captions(kind, str(tmp_path)) for kind in ("webdataset", "auto"))
    before = [digest_of_files(captions, None, "") for captions in (samples, any_kind)]
    (tmp_path / "b.parquet").write_bytes(b"parquet")
    after = [digest_of_files(captions, None, "") for captions in (samples, any_kind)]
    assert all(before)
    assert after[0] == before[0]
    assert after[1] != before[1]
    assert digest_of_files(replace(samples, images="/photos"), None, "") != after[0]
