from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.schema import Config
from pipeline.execution import ray_graph
from pipeline.execution.ray_graph import MakeUnit
from pipeline.tasks.task import task_of
from stages.storage.commits import committed_units, read_commit
from stages.storage.plan_files import create_manifest, cut, write_units
from stages.storage.store import Store
from tests import runs

POISONABLE = "tests.stages.worker.poison_stage.Poisonable"


def maker(config: Config, model_fingerprint: str) -> MakeUnit:
    return MakeUnit(config, model_fingerprint, task_of(config).encode)


def planned(out: Path) -> Store:
    store = Store(str(out))
    _, files = write_units(store, cut(runs.PAIRS, 2))
    assert create_manifest(store, {"files": files})
    return store


def test_a_unit_goes_from_its_index_to_its_commit(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    store = planned(tmp_path)
    made = maker(runs.config(sd1_folder, clip_folder, f"out={tmp_path}"), "f" * 64)({"unit": 1})
    assert committed_units(store) == {1}
    commit = read_commit(store, 1)
    assert json.loads(made["summary"]).items() <= commit.items()
    assert made["error"] == ""
    assert {"samples", "scores", "previews"} <= commit["part"].keys()
    assert all(len(store.read(part["name"])) == part["bytes"] for part in commit["part"].values())


def test_an_unwritable_unit_has_a_summary_and_an_error(tmp_path: Path, monkeypatch):
    planned(tmp_path)
    config = runs.config(tmp_path, tmp_path, f"out={tmp_path}", f"stage={POISONABLE}")
    make = maker(config, "f")
    (tmp_path / "run/parts").touch()
    made = make({"unit": 0})
    assert json.loads(made["summary"])["unit"] == 0
    assert made["error"].startswith(f"the output {tmp_path} cannot be written or read: ")


def test_models_that_do_not_load_are_told_not_raised(clip_folder: Path, tmp_path: Path):
    make = maker(runs.config(tmp_path, clip_folder, f"out={tmp_path}/out"), "")
    made = make({"unit": 0})
    assert made["summary"] == ""
    assert str(tmp_path) in made["error"]
    assert committed_units(Store(f"{tmp_path}/out")) == set()


def test_pickled_weights_are_told_of(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    model = runs.pickled(sd1_folder, tmp_path / "model")
    made = maker(runs.config(model, clip_folder, f"out={tmp_path}/out"), "")({"unit": 0})
    assert "pickled" in made["error"]
    assert "safetensors" in made["error"]


@pytest.mark.parametrize("address", ["head", "head:6379:1", "127.0.0.1:port"])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, address: str):
    config = runs.config(tmp_path, tmp_path, "cluster=ray", f"cluster.address={address}")
    with pytest.raises(ray_graph.WorkerError) as caught, ray_graph.cluster(config):
        pass
    assert str(caught.value).startswith(f"cluster.address={address} cannot be joined: ")
    assert "HOST:PORT" in str(caught.value)
    assert "\n" not in str(caught.value)
