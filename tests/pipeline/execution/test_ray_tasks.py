from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf.schema import Config
from pipeline.execution.ray_tasks import GenerateRow, write_row
from pipeline.tasks.task import task_of
from stages.storage.commits import committed_units, read_commit
from stages.storage.plan_files import create_manifest, cut, write_units
from stages.storage.store import Store
from stages.worker.launch import forkserver
from tests import runs


def generator(config: Config, model_fingerprint: str) -> GenerateRow:
    return GenerateRow(config, model_fingerprint, task_of(config).encode)


@pytest.fixture(scope="module", autouse=True)
def forked(sd1_folder: Path, clip_folder: Path) -> Iterator[None]:
    """What loads models is imported once."""
    with forkserver(runs.config(sd1_folder, clip_folder)):
        yield


def test_a_row_goes_from_a_unit_s_index_to_its_commit(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    store = Store(str(tmp_path))
    _, files = write_units(store, cut(runs.PAIRS, 2))
    assert create_manifest(store, {"files": files})
    generate = generator(runs.config(sd1_folder, clip_folder, f"out={tmp_path}"), "f" * 64)
    row = generate({"unit": 1})
    assert {type(row[kind]) for kind in ("samples", "scores", "previews")} == {bytes}
    back = write_row(row, str(tmp_path))
    assert committed_units(store) == {1}
    assert json.loads(back["record"]).items() <= read_commit(store, 1).items()
    assert back["error"] == ""


def test_models_that_do_not_load_are_told_not_raised(clip_folder: Path, tmp_path: Path):
    generate = generator(runs.config(tmp_path, clip_folder, f"out={tmp_path}/out"), "")
    row = generate({"unit": 0})
    assert str(tmp_path) in row["error"]
    assert write_row(row, f"{tmp_path}/out") == {"error": row["error"], "record": ""}
    assert committed_units(Store(f"{tmp_path}/out")) == set()


def test_pickled_weights_are_told_of(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    model = runs.pickled(sd1_folder, tmp_path / "model")
    row = generator(runs.config(model, clip_folder, f"out={tmp_path}/out"), "")({"unit": 0})
    assert "pickled" in row["error"]
    assert "safetensors" in row["error"]
