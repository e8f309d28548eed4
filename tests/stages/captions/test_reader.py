from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.captions import CaptionsError, CaptionSource, open_captions
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
    with pytest.raises(CaptionsError, match="give captions=jsonl, csv, parquet or dataset"):
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
