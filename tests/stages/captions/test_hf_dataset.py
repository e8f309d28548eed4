from __future__ import annotations

import io
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.captions import CaptionsError, CaptionSource, open_captions
from stages.images.place import read_image
from stages.records import CaptionPair, Quarantined

ROWS = [{"input": f"a red ball {n}", "edit": "make it blue", "output": f"a blue ball {n}"} for n in range(6)]
PAIRS = [CaptionPair(**row) for row in ROWS]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves anything in the user's cache, or asks the hub."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(path: Path, split: str | None = None, **options) -> list[CaptionPair | Quarantined]:
    return list(open_captions(CaptionSource("dataset", str(path), split, **options)))


def test_a_folder_of_json_lines_is_a_dataset(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", ROWS)
    items = read(tmp_path)
    assert items == PAIRS
    assert [item.line for item in items] == [1, 2, 3, 4, 5, 6]


def test_the_split_is_named_where_there_are_several(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", ROWS[:4])
    write_lines(tmp_path / "test.jsonl", ROWS[4:])
    assert read(tmp_path, "test") == PAIRS[4:]
    with pytest.raises(CaptionsError, match=r"has the splits train, test: choose one by captions\.split=…"):
        read(tmp_path)
    with pytest.raises(CaptionsError, match=r"cannot be opened as a dataset: .*valid") as raised:
        read(tmp_path, "valid")
    assert "\n" not in str(raised.value)


def test_images_beside_the_captions_are_not_even_decoded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    features = datasets.Features(
        {
            "original_prompt": datasets.Value("string"),
            "original_image": datasets.Image(),
            "edit_prompt": datasets.Value("string"),
            "edited_prompt": datasets.Value("string"),
            "edited_image": datasets.Image(),
            "rank": datasets.Value("int32"),
        }
    )
    images = [{"bytes": stream.getvalue(), "path": None}, {"bytes": b"damaged", "path": None}]
    table = pa.table(
        {
            "original_prompt": ["a", "d"],
            "original_image": images,
            "edit_prompt": ["b", "e"],
            "edited_prompt": ["c", "f"],
            "edited_image": images,
            "rank": [1, 2],
        }
    )
    metadata = {"huggingface": json.dumps({"info": {"features": features.to_dict()}})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "train-00000.parquet")
    assert read(tmp_path) == [
        CaptionPair("a", "b", "c", '{"rank": 1}'),
        CaptionPair("d", "e", "f", '{"rank": 2}'),
    ]


def test_a_bad_example_is_set_aside(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [ROWS[0], {**ROWS[1], "edit": None}, ROWS[2]])
    first, bad, last = read(tmp_path)
    assert (first, last) == (PAIRS[0], PAIRS[2])
    assert bad.reason == "field 'edit' is null, not text"
    assert (bad.file, bad.line) == (str(tmp_path), 2)


def test_columns_that_make_no_pair_are_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [{"before": "a", "edit": "b", "output": "c"}])
    with pytest.raises(
        CaptionsError, match=r"there is no input caption: .* among 'before', 'edit', 'output'"
    ):
        open_captions(CaptionSource("dataset", str(tmp_path)))
    assert read(tmp_path, fields={"input": "before"}) == [CaptionPair("a", "b", "c")]


def test_what_is_no_dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptionsError, match="nothing-here cannot be opened as a dataset"):
        read(tmp_path / "nothing-here")
    with pytest.raises(CaptionsError, match="cannot be opened as a dataset"):
        read(tmp_path)


def test_a_dataset_that_breaks_off_yields_what_came_before(tmp_path: Path) -> None:
    write_lines(tmp_path / "train" / "a.jsonl", ROWS)
    (tmp_path / "train" / "b.jsonl").write_text('{"input": \n')
    *pairs, last = read(tmp_path)
    assert pairs == PAIRS
    assert last.line == 7
    assert last.reason.startswith("cannot be read from here on: ")


def write_pictures(folder: Path) -> tuple[list[bytes], datasets.Dataset]:
    files = []
    for number in range(3):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(stream, "PNG")
        files.append(stream.getvalue())
    features = datasets.Features(
        {**{n: datasets.Value("string") for n in ROWS[0]}, "image": datasets.Image()}
    )
    rows = [{**row, "image": {"bytes": data, "path": None}} for row, data in zip(ROWS, files, strict=False)]
    return files, datasets.Dataset.from_list(rows, features=features)


def test_a_column_of_images_is_kept_below_the_root(tmp_path: Path) -> None:
    files, dataset = write_pictures(tmp_path)
    dataset.to_parquet(tmp_path / "data" / "train.parquet")
    kept = tmp_path / "kept"
    pairs = read(tmp_path / "data", images=str(kept))
    assert [read_image(str(kept), pair.image_place) for pair in pairs] == files
    assert sorted(path.name for path in kept.iterdir()) == sorted(pair.image_sha256 for pair in pairs)
    assert read(tmp_path / "data", images=str(kept)) == pairs


def test_a_folder_of_images_is_read_where_it_lies(tmp_path: Path) -> None:
    files, _ = write_pictures(tmp_path)
    rows = []
    for number, data in enumerate(files):
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / f"{number}.png").write_bytes(data)
        rows.append({**ROWS[number], "file_name": f"{number}.png"})
    write_lines(tmp_path / "train" / "metadata.jsonl", rows)
    pairs = read(tmp_path, images=str(tmp_path / "kept"))
    assert [read_image(str(tmp_path / "kept"), pair.image_place) for pair in pairs] == files
    assert not (tmp_path / "kept").exists()
