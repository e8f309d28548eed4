"""A probe on real Ray: the units are made there, and nothing is written."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from conf.schema import Config
from pipeline.execution.cluster_probe import ClusterStage
from pipeline.execution.ray_cluster import WorkerError
from pipeline.tasks.estimate import estimate
from stages.records import Unit
from tests import runs

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", autouse=True)
def on_ray() -> Iterator[None]:
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def config(sd1_folder: Path, clip_folder: Path, tmp_path: Path) -> Config:
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    more = ("captions=jsonl", f"captions.path={path}", f"out={tmp_path / 'out'}")
    return runs.config(sd1_folder, clip_folder, *more, "stage=benchmarks.scale.fake_stage.Fake")


def test_a_probe_on_the_cluster_counts_what_one_here_counts(config: Config) -> None:
    there, here = estimate(config, 0, ClusterStage), estimate(config, 0)
    assert (there.candidates, there.samples, there.bytes) == (here.candidates, here.samples, here.bytes)
    assert (there.probe.host, there.probe.device) == (socket.gethostname(), "cpu")
    assert not Path(config.out).exists()


def test_what_cannot_be_set_up_there_is_one_line(config: Config) -> None:
    with pytest.raises(WorkerError, match="has no attribute 'Fack'"):
        ClusterStage(replace(config, stage="benchmarks.scale.fake_stage.Fack"), "")
    with pytest.raises(WorkerError, match="has no room for a worker with 1 GPUs"):
        ClusterStage(replace(config, cluster=replace(config.cluster, gpus_per_worker=1.0)), "")


def test_an_error_of_a_unit_is_one_line(config: Config) -> None:
    stage = ClusterStage(
        replace(config, stage="tests.pipeline.execution.test_unit_worker.RefusesTheSecond"), ""
    )
    unit = Unit(0, tuple(runs.PAIRS[:1]))
    assert stage(unit).unit == unit
    with pytest.raises(WorkerError, match="no key"):
        stage(unit)
