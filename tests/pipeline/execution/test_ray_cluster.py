from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.running import Cluster, ClusterKind
from pipeline.execution import ray_cluster
from pipeline.execution.ray_cluster import await_workers, capacity, gpu_share
from tests import runs

HEAD, CPUS, GPUS = {"CPU": 0.0}, {"CPU": 4.0}, {"CPU": 16.0, "GPU": 8.0}


@pytest.mark.parametrize("address", ["head", "head:6379:1", "127.0.0.1:port"])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, address: str):
    config = runs.config(tmp_path, tmp_path, "cluster=ray", f"cluster.address={address}")
    with pytest.raises(ray_cluster.WorkerError) as caught, ray_cluster.cluster(config):
        pass
    assert str(caught.value).startswith(f"cluster.address={address} cannot be joined: ")
    assert "HOST:PORT" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("share", "workers"),
    [(0.0, 20), (1.0, 8), (0.5, 16), (0.3, 16), (0.4, 16), (0.8, 8), (2.0, 4), (3.0, 2), (16.0, 0)],
)
def test_the_capacity_counts_whole_workers_on_each_gpu(share: float, workers: int) -> None:
    assert capacity([HEAD, CPUS, GPUS], share) == workers


@given(st.floats(0.01, 1.0), st.integers(0, 9), st.integers(0, 99))
def test_no_gpu_is_given_more_than_it_has(share: float, gpus: int, cpus: int) -> None:
    workers = capacity([{"CPU": cpus, "GPU": gpus}], share)
    assert workers <= cpus
    assert workers * share <= gpus + 1e-9


def test_the_share_of_a_gpu_is_what_is_given_or_found() -> None:
    assert gpu_share(Cluster(), [HEAD, CPUS]) == 0.0
    assert gpu_share(Cluster(), [HEAD, CPUS, GPUS]) == 1.0
    # GPUs may join later.
    assert gpu_share(Cluster(gpus_per_worker=0.5), [HEAD, CPUS]) == 0.5
    assert gpu_share(Cluster(gpus_per_worker=0.0), [GPUS]) == 0.0


def test_the_wait_for_workers_ends_when_they_fit_or_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    began, found = time.monotonic(), [HEAD]
    monkeypatch.setattr(ray_cluster, "SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setattr(
        ray_cluster, "machines", lambda: found if time.monotonic() - began < 0.5 else [HEAD, GPUS]
    )
    asked = Cluster(kind=ClusterKind.ray, workers=8, wait_seconds=60)
    await_workers(asked, lambda text: nullcontext())
    assert 0.5 <= time.monotonic() - began < 5
    for settled in (
        Cluster(ClusterKind.local, workers=99),
        Cluster(ClusterKind.ray),
        Cluster(ClusterKind.ray, workers=99, gpus_per_worker=1),
    ):
        await_workers(settled, lambda text: pytest.fail(text))
    too_many = Cluster(kind=ClusterKind.ray, workers=9, wait_seconds=1)
    await_workers(too_many, lambda text: nullcontext())
    assert time.monotonic() - began < 10
