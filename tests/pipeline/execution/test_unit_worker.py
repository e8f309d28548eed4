from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
import ray
import torch

from conf.schema import Config
from pipeline.execution.unit_worker import Ending, UnitWorker
from pipeline.tasks.task import task_of
from stages.errors import StageError
from stages.records import Unit, UnitResult
from stages.storage.commits import committed_units, read_commit
from stages.storage.plan_files import create_manifest, cut, write_units
from stages.storage.store import Store
from tests import runs

POISONABLE = "tests.stages.worker.poison_stage.Poisonable"


@pytest.fixture(scope="module", autouse=True)
def on_ray() -> Iterator[None]:
    """The metrics of a worker need a Ray."""
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def worker(config: Config, model_fingerprint: str) -> UnitWorker:
    return UnitWorker(config, model_fingerprint, task_of(config).encode, {}, has_gpu=False)


def planned(out: Path) -> Store:
    store = Store(str(out))
    _, files = write_units(store, cut(runs.PAIRS, 2))
    assert create_manifest(store, {"files": files})
    return store


def test_a_unit_goes_from_its_index_to_its_commit(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    store = planned(tmp_path)
    made = worker(runs.config(sd1_folder, clip_folder, f"out={tmp_path}"), "f" * 64)
    place = made.start().place
    outcome = made.make(1, 0.0)
    made.stop()
    assert committed_units(store) == {1}
    commit = read_commit(store, 1)
    assert json.loads(outcome.text).items() <= commit.items()
    assert outcome.ending is Ending.done
    assert commit["worker"] == asdict(place)
    assert (place.host, place.device, place.torch) == (socket.gethostname(), "cpu", torch.__version__)
    assert {"samples", "scores", "previews"} <= commit["part"].keys()
    assert all(len(store.read(part["name"])) == part["bytes"] for part in commit["part"].values())


def test_an_output_that_is_not_writable_is_told_apart(tmp_path: Path):
    planned(tmp_path)
    config = runs.config(tmp_path, tmp_path, f"out={tmp_path}", f"stage={POISONABLE}")
    made = worker(config, "f")
    assert made.start().ending is Ending.done
    (tmp_path / "run/parts").touch()
    outcome = made.make(0, 0.0)
    made.stop()
    assert outcome.ending is Ending.unwritable
    assert outcome.text.startswith(f"the output {tmp_path} cannot be written or read: ")


class RefusesTheSecond:
    """A stage that makes one unit."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        self._made = 0

    def __call__(self, unit: Unit) -> UnitResult:
        self._made += 1
        if self._made > 1:
            raise StageError("no key")
        return UnitResult(unit, (), (), (), (), 0, {})


def test_a_refusal_waits_until_the_unit_before_it_is_committed(tmp_path: Path):
    store = planned(tmp_path)
    stage = f"{__name__}.{RefusesTheSecond.__name__}"
    config = runs.config(tmp_path, tmp_path, f"out={tmp_path}", f"stage={stage}")
    begun = threading.Event()

    def encode(result: UnitResult) -> dict[str, bytes]:
        begun.set()
        time.sleep(0.5)
        return {}

    made = UnitWorker(config, "f", encode, {}, has_gpu=False)
    assert made.start().ending is Ending.done
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(made.make, 0, 0.0)
        assert begun.wait(20)
        assert made.make(1, 0.0).ending is Ending.refused
        assert committed_units(store) == {0}
        assert first.result().ending is Ending.done
    made.stop()


def test_the_environment_reaches_the_stage_alone(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    config = runs.config(tmp_path, tmp_path, f"out={tmp_path}", f"stage={POISONABLE}")
    UnitWorker(config, "f", task_of(config).encode, {"HF_TOKEN": "hf_secret"}, has_gpu=False)
    assert os.environ.pop("HF_TOKEN") == "hf_secret"


def test_models_that_do_not_load_are_told_not_raised(clip_folder: Path, tmp_path: Path):
    outcome = worker(runs.config(tmp_path, clip_folder, f"out={tmp_path}/out"), "").start()
    assert outcome.ending is Ending.not_set_up
    assert str(tmp_path) in outcome.text
    assert committed_units(Store(f"{tmp_path}/out")) == set()


def test_pickled_weights_are_told_of(sd1_folder: Path, clip_folder: Path, tmp_path: Path):
    model = runs.pickled(sd1_folder, tmp_path / "model")
    outcome = worker(runs.config(model, clip_folder, f"out={tmp_path}/out"), "").start()
    assert "pickled" in outcome.text
    assert "safetensors" in outcome.text
