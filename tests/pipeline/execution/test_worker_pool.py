"""Runs on real Ray, of one machine or of several, on which a GPU, a machine or the output fails."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from conf.schema import Config
from pipeline.errors import RunError
from pipeline.execution import ray_cluster, worker_pool
from pipeline.execution.ray_cluster import WorkerError
from pipeline.tasks.task import task_of
from stages.records import CaptionPair
from stages.storage.commits import read_commits
from stages.storage.evictions import read_evictions
from stages.storage.plan_files import create_manifest, cut, write_units
from stages.storage.store import Store
from tests import runs
from tests.fire.fire import environment
from tests.stages.worker import poison_stage
from tests.stages.worker.faulty_stage import NO_MODEL

ROOT = Path(__file__).parents[3]
PAIRS = [CaptionPair(f"a red ball {number}", "make it blue", "a blue ball") for number in range(24)]
pytestmark = pytest.mark.timeout(300)

FAKE_TORCH = """
import types
__version__ = "2.9.0"
class OutOfMemoryError(RuntimeError): pass
class AcceleratorError(RuntimeError): pass
cuda = types.SimpleNamespace(is_available=lambda: True, is_initialized=lambda: True, current_device=lambda: 0,
    get_device_name=lambda: "NVIDIA A100")
"""


@pytest.fixture(autouse=True)
def environment_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)


def settings(folder: Path, *more: str, pairs: list[CaptionPair] = PAIRS) -> Config:
    return runs.config(
        folder,
        folder,
        "captions=jsonl",
        f"captions.path={runs.write_pairs(folder / 'pairs.jsonl', pairs)}",
        f"out={folder / 'out'}",
        "stage=tests.stages.worker.faulty_stage.Faulty",
        "model.device=cpu",
        *more,
    )


def planned(config: Config) -> tuple[Store, int, str]:
    """The output, its number of units and the model's fingerprint, planned without a model."""
    store = Store(config.out)
    count, files = write_units(store, cut(read_pairs(config), config.unit_pairs))
    assert create_manifest(store, {"files": files})
    return store, count, "f"


def read_pairs(config: Config) -> list[CaptionPair]:
    lines = Path(config.captions.path).read_text().splitlines()
    return [CaptionPair(**json.loads(line)) for line in lines]


def run(config: Config) -> list[int]:
    """Make all units of ``config``; return them in the order in which they were made."""
    _, count, fingerprint = planned(config)
    with ray_cluster.cluster(config):
        summaries = worker_pool.run(config, fingerprint, range(count), task_of(config).encode)
        return [summary["unit"] for summary in summaries]


def test_units_of_a_sick_gpu_are_made_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "sick").touch()
    config = settings(tmp_path, "cluster.workers=3")
    store = Store(config.out)
    assert sorted(run(config)) == list(range(12))
    commits = list(read_commits(store, range(12)))
    assert not any(commit["failures"] for commit in commits)
    assert sum(commit["samples"] for commit in commits) == len(PAIRS)
    (eviction,) = read_evictions(store)
    assert eviction.faults >= worker_pool.FAULTS
    assert "illegal memory access" in eviction.reason


@pytest.mark.long
def test_a_run_without_a_well_gpu_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    sick = [CaptionPair(f"{poison_stage.CUDA_WHILE}{tmp_path / 'mark'}", "e", str(k)) for k in range(8)]
    config = settings(tmp_path, "cluster.workers=1", pairs=sick)
    with pytest.raises(RunError, match=r"no worker is left: all 1 are evicted, .*CUDA error"):
        run(config)
    assert list(read_commits(Store(config.out), [])) == []
    assert len(read_evictions(Store(config.out))) == 1


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A Ray cluster of a head to which drivers connect, without a CPU."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


def test_bad_nodes_are_evicted_and_late_gpus_used(tmp_path: Path, nodes: Cluster) -> None:
    """One node lacks the model, one lacks CUDA, and the one that works joins after the start."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "torch.py").write_text(FAKE_TORCH)
    config = settings(
        tmp_path,
        "cluster=ray",
        f"cluster.address={nodes.address}",
        "cluster.gpus_per_worker=1",
        "model.device=cuda",
    )
    fake = f"{tmp_path / 'fake'}:{ROOT}"
    nodes.add_node(num_cpus=1, num_gpus=1, env_vars={NO_MODEL: "1", "PYTHONPATH": fake})
    nodes.add_node(num_cpus=1, num_gpus=1)
    store = Store(config.out)
    # Ray starts nodes from the main thread alone.
    with ThreadPoolExecutor(1) as thread:
        units = thread.submit(run, config)
        while len(read_evictions(store)) < 2 and not units.done():
            time.sleep(0.5)
        nodes.add_node(num_cpus=2, num_gpus=2, env_vars={"PYTHONPATH": fake})
        assert sorted(units.result()) == list(range(12))
    reasons = sorted(eviction.reason for eviction in read_evictions(store))
    assert len(reasons) == 2
    assert reasons[0] == "model.path=/models/sdxl is not there"
    assert "sees none" in reasons[1]
    places = [commit["worker"] for commit in read_commits(store, range(12))]
    assert {place["device"] for place in places} == {"NVIDIA A100"}


@pytest.mark.long
def test_settings_that_no_node_can_use_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NO_MODEL, "1")
    with pytest.raises(WorkerError, match="/models/sdxl is not there"):
        run(settings(tmp_path, "cluster.workers=2"))
