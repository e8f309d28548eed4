from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.captions import CaptionsError, CaptionSource, checker
from stages.captions.jsonl import open_judged
from stages.captions.pair import pair_reader
from stages.read import read_pairs
from stages.records import CaptionPair, Quarantined
from tests.models import clip_tokenizer

TOKENIZER = clip_tokenizer()


def count(text: str) -> int:
    return len(TOKENIZER(text).input_ids)


def row(n: int, **others: object) -> dict[str, object]:
    return {"input": f"a red ball {n}", "edit": "make it blue", "output": f"a blue ball {n}", **others}


def read(path: Path, limit: int | None = None) -> list[CaptionPair | Quarantined]:
    return list(read_pairs(CaptionSource("auto", str(path), limit=limit), count, 20))


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
        read_pairs(CaptionSource("jsonl", str(tmp_path / "absent.jsonl")), count, 20)


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


LINES = st.one_of(
    st.integers(0, 12).map(lambda n: json.dumps(row(n, url=f"u{n}")).encode()),
    st.integers(0, 12).map(lambda n: json.dumps(row(n, output="hexagon " * 20)).encode()),
    st.sampled_from([b"", b"{", b"7", b"\xff\xfe", b'{"input": 1}', "\u2028".encode(), b"\r"]),
)


def judged(path: Path, processes: int, block: int, alone: int) -> list[tuple[object, ...]]:
    """Every row, read as ``read_pairs`` reads it, in blocks of ``block`` bytes."""
    judge, check = pair_reader({}), checker(count, 20)

    def judge_checked(record: dict[str, object], line: int) -> CaptionPair | str:
        pair = judge(record, line)
        return pair if isinstance(pair, str) else check(pair) or pair

    rows = open_judged(CaptionSource("jsonl", str(path)), judge_checked, processes, block, alone)
    return [(r.line, r.flaw, r.raw, r.pair, r.pair and r.pair.line, r.pair and r.pair.text) for r in rows]


@settings(max_examples=8, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=60), st.integers(1, 400), st.integers(0, 3))
def test_processes_judge_as_one_does(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block: int, alone: int
) -> None:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert judged(path, 2, block, alone) == judged(path, 1, 2**20, 0)


def test_what_breaks_off_is_told_after_what_processes_read(tmp_path: Path) -> None:
    lines = b"".join(json.dumps(row(n)).encode() + b"\n" for n in range(2000))
    (tmp_path / "pairs.jsonl.gz").write_bytes(gzip.compress(lines)[:-2000])
    alone = judged(tmp_path / "pairs.jsonl.gz", 1, 2**20, 0)
    assert len(alone) > 10
    assert alone[-1][1].startswith("cannot be read from here on")
    assert judged(tmp_path / "pairs.jsonl.gz", 2, 500, 1) == alone
