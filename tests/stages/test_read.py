from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, checker, jsonl, open_blocks, reader
from stages.captions.examined import examine_by
from stages.read import read_pairs
from stages.records import CaptionPair, Quarantined
from tests.models import clip_tokenizer

TOKENIZER = clip_tokenizer()


def count(text: str) -> int:
    return len(TOKENIZER(text).input_ids)


EXAMINE = examine_by(reader({}, False), checker(count, 20))


def row(n: int, **others: object) -> dict[str, object]:
    return {"input": f"a red ball {n}", "edit": "make it blue", "output": f"a blue ball {n}", **others}


def read(path: Path, limit: int | None = None) -> list[CaptionPair | Quarantined]:
    blocks = open_blocks(CaptionSource("auto", str(path)))
    found = read_pairs(((block, EXAMINE(block)) for block in blocks), limit)
    return list(
        chain.from_iterable(sorted([*one.pairs, *one.aside], key=lambda item: item.line) for one in found)
    )


def write(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_line_is_a_pair_or_set_aside_in_its_order(tmp_path: Path) -> None:
    long = row(2, output="hexagon " * 20)
    path = write(tmp_path / "pairs.jsonl", [row(1), 7, long, row(3), row(1, url="x"), long])
    tokens = count("hexagon " * 20)
    too_long = f"the output caption has {tokens} tokens, the model's text encoder takes 20: "
    too_long += "shorten it, or cut it with edit.too_long=truncate"
    items = read(path)
    assert [(item.line, getattr(item, "reason", "")) for item in items] == [
        (1, ""),
        (2, "not an object with fields but a number"),
        (3, too_long),
        (4, ""),
        (5, "the same caption pair stands on line 1"),
        (6, too_long),
    ]
    assert items[4] == Quarantined(str(path), 5, items[4].reason, json.dumps(row(1, url="x")))


def test_a_pair_of_another_file_is_named_with_its_file(tmp_path: Path) -> None:
    for name, rows in (("a", [row(1), row(2)]), ("b", [row(3), row(2)])):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    *_, last = read(tmp_path)
    assert last.reason == f"the same caption pair stands on line 2 of {tmp_path / 'a.parquet'}"
    assert (last.file, last.line) == (str(tmp_path / "b.parquet"), 2)


def test_the_limit_counts_what_passes_everything(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", [row(1), row(1), 7, row(2, input="hexagon " * 20), row(3), row(4)])
    assert [item.line for item in read(path, limit=2) if isinstance(item, CaptionPair)] == [1, 5]
    assert [item.line for item in read(path, limit=2)] == [1, 2, 3, 4, 5]
    assert read(path, limit=0) == []


def test_a_source_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match="no such file"):
        read(tmp_path / "absent.jsonl")


@given(st.lists(st.integers(0, 9), max_size=30))
def test_each_pair_comes_once_where_it_stands_first(tmp_path_factory, numbers: list[int]) -> None:
    items = read(write(tmp_path_factory.mktemp("read") / "pairs.jsonl", [row(n) for n in numbers]))
    assert len(items) == len(numbers)
    for line, (number, item) in enumerate(zip(numbers, items, strict=True), 1):
        first = numbers.index(number) + 1
        if first == line:
            assert item == CaptionPair(**row(number))
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
USUAL = st.builds(lambda n: json.dumps(row(n, url=f"x/{n}")), st.integers(0, 20))
ODD = st.one_of(
    st.builds(lambda record, ascii: json.dumps(record, ensure_ascii=ascii), RECORDS, st.booleans()),
    st.builds(lambda record: json.dumps(dict(reversed(record.items()))), RECORDS),
    st.sampled_from(
        ["", "  ", "7", "{", '{"input": "a"}', '{"input": "a", "input": "b"}', "\x00", '"', '{"a":\r"b"}']
    ),
)
LINES = st.lists(st.one_of(USUAL, USUAL, USUAL, ODD), max_size=30)


def in_full(items: list[CaptionPair | Quarantined]) -> list[object]:
    return [(item.id, item.text, item.meta) if isinstance(item, CaptionPair) else item for item in items]


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans(), st.integers(1, 400))
def test_lines_judged_at_once_are_what_they_are_one_by_one(
    tmp_path_factory, lines: list[str], end: str, ended: bool, marked: bool, piece: int
) -> None:
    path = tmp_path_factory.mktemp("read") / "pairs.jsonl"
    text = ("\ufeff" if marked else "") + end.join(lines) + (end if ended else "")
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "_PIECE", piece)
        found = read(path)
        patch.setattr(jsonl, "columns", lambda data, count: None)
        one_by_one = read(path)
    assert in_full(found) == in_full(one_by_one)
    for pair in found:
        if isinstance(pair, CaptionPair):
            canonical = json.dumps(
                [pair.input, pair.edit, pair.output], ensure_ascii=False, separators=(",", ":")
            )
            assert pair.id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
            assert pair.text == json.dumps(asdict(pair), ensure_ascii=False, sort_keys=True)
