from __future__ import annotations

import datetime
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.captions import CaptionsError, CaptionSource, open_captions, parquet_file
from stages.images.place import read_image
from stages.records import CaptionPair, Quarantined

ROWS = [{"input": f"a red ball {n}", "edit": "make it blue", "output": f"a blue ball {n}"} for n in range(10)]
PAIRS = [CaptionPair(**row) for row in ROWS]


def write(path: Path, rows: list[dict] | pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows), path)
    return path


def read(path: Path | str, **options) -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource("parquet", str(path), **options)))


def test_a_file_is_read_in_batches_in_its_order(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(parquet_file, "_BATCH", 3)
    items = read(write(tmp_path / "pairs.parquet", ROWS))
    assert items == PAIRS
    assert [item.line for item in items] == list(range(1, 11))


def test_a_folder_and_a_glob_are_their_files_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet", ROWS[3:5])
    write(tmp_path / "a.parquet", ROWS[:3])
    write(tmp_path / "c.parquet" / "part-0.parquet", ROWS[5:])
    write(tmp_path / "_metadata.parquet", [{"no": "pair"}])
    write(tmp_path / ".hidden.parquet", [{"no": "pair"}])
    write(tmp_path / "_log" / "d.parquet", [{"no": "pair"}])
    (tmp_path / "README.md").write_text("")
    assert read(tmp_path) == PAIRS
    assert read(tmp_path / "[ab].parquet") == PAIRS[:5]
    assert list(open_captions(CaptionSource("auto", str(tmp_path)))) == PAIRS
    assert [item.line for item in read(tmp_path)] == [1, 2, 3, 1, 2, 1, 2, 3, 4, 5]


def test_other_columns_travel_along_and_bytes_do_not(tmp_path: Path) -> None:
    table = pa.table(
        {
            "original_prompt": pa.array(["a"]).dictionary_encode(),
            "edit_prompt": pa.array(["b"], pa.large_string()),
            "edited_prompt": ["c"],
            "when": [datetime.date(2024, 1, 2)],
            "score": [float("nan")],
            "nested": [{"list": [1, None]}],
            "original_image": [{"bytes": b"\x89PNG", "path": None}],
            "raw": [b"abc"],
            "crops": [[b"abc"]],
        }
    )
    (pair,) = read(write(tmp_path / "pairs.parquet", table))
    assert pair == CaptionPair("a", "b", "c", pair.meta)
    assert json.loads(pair.meta) == {"when": "2024-01-02", "score": "nan", "nested": {"list": [1, None]}}


def test_the_column_of_images_is_read_row_by_row(tmp_path: Path) -> None:
    files = []
    for number in range(40):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(stream, "PNG")
        files.append(stream.getvalue())
    rows = [{**ROWS[n % 10], "image": {"bytes": data, "path": None}} for n, data in enumerate(files)]
    file = write(tmp_path / "a" / "pairs.parquet", [*rows, {**ROWS[0], "image": None}])
    *pairs, plain = read(file, images=str(tmp_path))
    assert [pair.image_place for pair in pairs] == [f"a/pairs.parquet#{n}/image" for n in range(40)]
    assert [read_image(str(tmp_path), pair.image_place) for pair in pairs] == files
    assert plain.image == ""
    assert pairs[0].meta == "{}"


def test_a_bad_row_is_set_aside_with_its_file_and_number(tmp_path: Path) -> None:
    bad = {**ROWS[0], "edit": None}
    write(tmp_path / "a.parquet", ROWS[:2])
    file = write(tmp_path / "b.parquet", [ROWS[2], bad, ROWS[3]])
    aside = Quarantined(str(file), 2, "field 'edit' is null, not text", json.dumps(bad, sort_keys=True))
    assert read(tmp_path) == [*PAIRS[:3], aside, PAIRS[3]]


def test_a_string_that_is_not_utf8_costs_its_own_row(tmp_path: Path) -> None:
    offsets = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in (0, 1, 2, 3)))
    texts = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"a\xffc"))
    table = pa.table({"input": texts, "edit": ["e"] * 3, "output": ["o"] * 3})
    items = read(write(tmp_path / "pairs.parquet", table))
    assert [item.line for item in items] == [1, 2, 3]
    assert items[0] == CaptionPair("a", "e", "o")
    assert isinstance(items[1], Quarantined)
    assert items[1].reason == "field 'input' is not UTF-8"
    assert json.loads(items[1].text)["input"] == "\ufffd"
    assert items[2] == CaptionPair("c", "e", "o")


def test_columns_of_other_types_are_no_captions(tmp_path: Path) -> None:
    table = pa.table({"input": [1], "edit": ["b"], "output": pa.array([b"c"], pa.binary())})
    (item,) = read(write(tmp_path / "pairs.parquet", table))
    assert item.reason == "field 'input' is a number, not text"
    (item,) = read(write(tmp_path / "pairs.parquet", table.set_column(0, "input", pa.array(["a"]))))
    assert item.reason == "field 'output' is not UTF-8"


def test_damage_in_the_middle_of_a_file_costs_its_rest(tmp_path: Path) -> None:
    rows = [{**row, "n": n} for n, row in enumerate(ROWS * 2000)]
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=5000, compression="zstd")
    place = pq.ParquetFile(file).metadata.row_group(2).column(0).data_page_offset
    data = bytearray(file.read_bytes())
    data[place : place + 200] = bytes(200)
    file.write_bytes(data)
    write(tmp_path / "b.parquet", ROWS)
    items = read(tmp_path)
    assert items[-10:] == PAIRS
    bad = items[-11]
    assert isinstance(bad, Quarantined)
    assert bad.reason.startswith("cannot be read from here on: ")
    assert (bad.file, bad.line) == (str(file), len(items) - 10)
    assert 5000 <= len(items) - 11 <= 10_000


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.parquet", "absent.parquet: no Parquet file there"),
        ("pairs.parqet", r"no Parquet file there \(did you mean .*pairs\.parquet\?\)"),
        ("*.arrow", r"\*\.arrow: no Parquet file there"),
        ("empty", "empty: no Parquet file there"),
        ("text.parquet", r"text\.parquet is not Parquet"),
        ("other.parquet", r"other\.parquet: there is no input caption: .* among 'a', 'b'"),
        ("*.parquet", r"other\.parquet: there is no input caption"),
    ],
)
def test_what_is_no_source_is_an_error_before_anything_is_read(
    tmp_path: Path, path: str, message: str
) -> None:
    write(tmp_path / "pairs.parquet", ROWS)
    write(tmp_path / "other.parquet", [{"a": 1, "b": 2}])
    (tmp_path / "text.parquet").write_text("input,edit,output\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptionsError, match=message) as raised:
        open_captions(CaptionSource("parquet", str(tmp_path / path)))
    assert "\n" not in str(raised.value)
