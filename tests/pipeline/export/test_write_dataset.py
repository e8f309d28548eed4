from __future__ import annotations

import hashlib
import io
import json
import os
import uuid
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import Image, load_dataset

from pipeline.cli.main import main
from pipeline.dataset.contact_sheet import SHEET
from pipeline.dataset.pack import pack
from pipeline.dataset.split import choose_split
from pipeline.export import export_settings
from pipeline.export.write_dataset import write_dataset
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests.pipeline.outputs import commit, planned
from tests.stages.unit_parts import picture, pixels
from tests.stages.unit_results import unit_result

KEPT = [1, 3, 0, 2, 4, 1, 2]


def finished(folder: str) -> Store:
    """A packed output of 13 samples of six caption pairs in shards of 4."""
    store, plan = planned(folder, len(KEPT))
    commit(store, KEPT)
    pack(store, list(read_commits(store, range(plan.units))), 4)
    return store


@pytest.fixture
def out(tmp_path: Path) -> Path:
    finished(str(tmp_path / "out"))
    return tmp_path / "out"


def test_datasets_reads_all_samples_with_flat_metadata(out: Path, tmp_path: Path, capsys):
    (out / SHEET).write_bytes(picture(1))
    assert main(["export", str(out), "format=hf-parquet", f"to={tmp_path / 'set'}"]) == 0
    assert "13 samples (train 13)" in capsys.readouterr().out
    card = (tmp_path / "set" / "README.md").read_text()
    assert "of 6 of 7\ncaption pairs" in card
    assert f"]({SHEET})" in card
    assert (tmp_path / "set" / SHEET).read_bytes() == (out / SHEET).read_bytes()
    data = load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "cache"))
    wanted = [sample for index, kept in enumerate(KEPT) for sample in unit_result(index, kept).samples]
    assert data.column_names[:4] == ["input_image", "edit_prompt", "edited_image", "key"]
    assert isinstance(data.features["input_image"], Image)
    assert isinstance(data.features["edited_image"], Image)
    assert {name: data.features[name].dtype for name in ("seed", "p2p_threshold", "meta")} == {
        "seed": "int64",
        "p2p_threshold": "float64",
        "meta": "string",
    }
    assert len(data) == len(wanted)
    for row, sample in zip(data, wanted, strict=True):
        assert row["key"] == sample.key
        assert {name: row[name] for name in sample.metadata} == sample.metadata
        assert row["input_image"].tobytes() == sample.input_image.tobytes()
        assert row["edited_image"].tobytes() == sample.edited_image.tobytes()
    assert json.loads(data[0]["meta"]) == {"url": "u"}
    assert data[0]["input_image"].tobytes() == pixels(1000).tobytes()


def test_files_have_exact_sizes_and_reproducible_bytes(out: Path, tmp_path: Path):
    digests = []
    for name in ("one", "two"):
        assert main(["export", str(out), f"to={tmp_path / name}", "rows=5"]) == 0
        files = sorted((tmp_path / name / "data").iterdir())
        assert [file.name for file in files] == [f"train-{k:05d}.parquet" for k in range(3)]
        assert [pq.read_metadata(file).num_rows for file in files] == [5, 5, 3]
        digests.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert digests[0] == digests[1]


def test_no_input_caption_is_in_two_splits(out: Path, tmp_path: Path):
    parts = [0.4, 0.3, 0.3]
    assert main(["export", str(out), f"to={tmp_path / 'set'}", "split=[0.4,0.3,0.3]"]) == 0
    data = load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert len(data) > 1
    splits = defaultdict(set)
    for name, rows in data.items():
        for caption in rows["input_prompt"]:
            splits[caption].add(name)
    assert splits == {caption: {choose_split(caption, parts)} for caption in splits}
    assert sum(map(len, data.values())) == sum(KEPT)


def test_an_object_store_is_read_and_written(tmp_path: Path):
    there = f"memory://{uuid.uuid4().hex}"
    store, target = finished(f"{there}/out"), Store(f"{there}/set")
    assert write_dataset(store, target, export_settings.read([f"to={there}/set"])) == {"train": 13}
    assert pq.read_table(io.BytesIO(target.read("data/train-00000.parquet"))).num_rows == 13


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["export", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("to=", "pairforge: to: "),
        ("format=zip", "format: "),
        ("split=[0.5,0.4]", "adds up to 0.9"),
        ("split=[0.5,0.6,-0.1]", "from 0 to 1"),
        ("rows=0", "rows=0"),
        ("shards=3", "shards"),
        ("rows=many", "rows: "),
    ],
)
def test_an_invalid_setting_is_named(out: Path, tmp_path: Path, capsys, setting: str, said: str):
    assert said in refused(capsys, str(out), f"to={tmp_path / 'set'}", setting)
    assert not (tmp_path / "set").exists()


def test_an_export_without_a_target_folder_is_refused(out: Path, capsys):
    assert "to=" in refused(capsys, str(out))
    assert "export OUT to=DIR" in refused(capsys)


def test_a_folder_without_an_output_or_samples_is_refused(tmp_path: Path, capsys):
    assert "is not the output of a run: it has no run/plan/plan.json" in refused(
        capsys, str(tmp_path), f"to={tmp_path / 'set'}"
    )
    planned(str(tmp_path / "planned"), 1)
    assert "no shards" in refused(capsys, str(tmp_path / "planned"), f"to={tmp_path / 'set'}")


def test_a_folder_in_use_is_left_alone(out: Path, tmp_path: Path, capsys):
    assert "empty folder" in refused(capsys, str(out), f"to={out}")
    assert Store(str(out)).list("data") == [f"data/train-{k:06d}.tar" for k in range(4)]


@pytest.mark.parametrize("left", [0, 700, 5000, 512 * 8])
def test_a_short_shard_exports_nothing_silently(out: Path, tmp_path: Path, capsys, left: int):
    os.truncate(out / "data/train-000001.tar", left)
    line = refused(capsys, str(out), f"to={tmp_path / 'set'}")
    assert "data/train-000001.tar" in line
    assert "pairforge repair" in line
    assert not (tmp_path / "set" / "README.md").exists()
    assert not list((tmp_path / "set").rglob("*.parquet"))


def test_an_unreachable_hub_is_one_line_and_keeps_the_export(out: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    line = refused(capsys, str(out), f"to={tmp_path / 'set'}", "push_to_hub=me/edits")
    assert "push_to_hub=me/edits" in line
    assert "offline" in line.lower()
    assert (tmp_path / "set" / "README.md").exists()
