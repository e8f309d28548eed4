from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.pairs import PairsFile
from pipeline.dataset.pack import HashingStream
from pipeline.pairs import output_file
from stages.captions import CaptionSource, open_captions
from stages.captions.reader import to_json
from stages.records import CaptionPair, WrittenPair

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
METAS = st.lists(st.dictionaries(st.sampled_from(["url", "n", "caption", "\ud800"]), VALUES), max_size=6)


def written(metas: Sequence[dict[str, Any]]) -> list[WrittenPair]:
    return [
        WrittenPair(str(k), 0, 1, f"ball {k}", "do", f"box {k}", True, "", "", to_json(meta))
        for k, meta in enumerate(metas)
    ]


def encoded(file: PairsFile, answers: list[WrittenPair], group: int = 2) -> bytes:
    sink = io.BytesIO()
    with (
        closing(HashingStream(sink)) as stream,
        output_file.open_writer(file, stream, lambda: iter(answers)) as write,
    ):
        for first in range(0, max(1, len(answers)), group):
            write(answers[first : first + group])
    return sink.getvalue()


def read(folder: Path, file: PairsFile, answers: list[WrittenPair]) -> list[CaptionPair]:
    path = folder / f"pairs.{file.value}"
    path.write_bytes(encoded(file, answers))
    pairs = list(open_captions(CaptionSource("auto", str(path))))
    assert all(isinstance(pair, CaptionPair) for pair in pairs)
    return pairs


@given(METAS)
def test_every_other_field_has_a_column(metas: list[dict[str, Any]]) -> None:
    answers = written(metas)
    data = encoded(PairsFile.parquet, answers)
    assert data == encoded(PairsFile.parquet, answers)
    table = pq.read_table(io.BytesIO(data))
    assert table.schema.names[:3] == list(output_file.PAIR_FIELDS)
    assert table["input"].to_pylist() == [one.caption for one in answers]
    for number, answer in enumerate(answers):
        for name, value in output_file.record(answer).items():
            found = table[name.encode("utf-8", "replace").decode()][number].as_py()
            assert (found is None) == (value is None)


def test_both_files_hold_the_same_pairs(tmp_path: Path) -> None:
    metas = [
        {"url": f"http://x/{k}", "n": k, "likes": k / 2, "sold": k % 2 == 0, "id": "é\u2028"}
        for k in range(5)
    ]
    lines, columns = (read(tmp_path, file, written(metas)) for file in PairsFile)
    assert lines == columns
    assert [json.loads(pair.meta) for pair in columns] == metas


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (["a", None], pa.string(), ["a", None]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([1, "a"], pa.string(), ["1", "a"]),
        ([True, 1], pa.string(), ["true", "1"]),
        ([2**70, 1], pa.string(), [str(2**70), "1"]),
        ([{"b": [1]}, None], pa.string(), ['{"b": [1]}', None]),
        ([None], pa.string(), [None]),
    ],
)
def test_a_column_has_the_common_type_of_its_values(
    values: list[Any], kind: pa.DataType, found: list[Any]
) -> None:
    table = pq.read_table(io.BytesIO(encoded(PairsFile.parquet, written([{"x": value} for value in values]))))
    assert table.schema.field("x").type == kind
    assert table["x"].to_pylist() == found


def test_no_pairs_make_a_file_with_the_three_columns() -> None:
    assert encoded(PairsFile.jsonl, []) == b""
    assert pq.read_table(io.BytesIO(encoded(PairsFile.parquet, []))).schema.names == list(
        output_file.PAIR_FIELDS
    )


def test_a_line_keeps_other_fields_apart() -> None:
    answer = WrittenPair("a", 0, 1, "x", "do", "y", True, "", "", '{"caption": "z", "url": "ü"}')
    assert json.loads(output_file.line(answer)) == {
        "input": "x",
        "edit": "do",
        "output": "y",
        "source_caption": "z",
        "url": "ü",
    }
