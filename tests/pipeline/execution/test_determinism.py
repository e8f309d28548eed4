"""The bytes of a dataset depend on its settings alone, not on the number of workers or the order of the units."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from conf.schema import Config
from pipeline.dataset.pack import PackedFile, pack
from pipeline.execution import ray_cluster, worker_pool
from pipeline.planning.plan import make_or_resume
from pipeline.tasks.task import task_of
from stages.generate import Generate
from stages.storage.commits import read_commits
from stages.storage.store import Store
from tests import runs
from tests.fire.fire import digests, environment


def made(config: Config, order: list[int]) -> list[PackedFile]:
    """The files that the real stages make of the units in that order, on the Ray that runs."""
    store = Store(config.out)
    plan = make_or_resume(store, task_of(config))
    with closing(worker_pool.run(config, plan.model_fingerprint, order, task_of(config).encode)) as summaries:
        assert {summary["unit"] for summary in summaries} == set(order)
    return pack(store, list(read_commits(store, range(plan.units))), config.shards.samples)


@pytest.mark.timeout(600)
def test_workers_and_order_do_not_change_the_bytes(
    tmp_path: Path, sd1_folder: Path, clip_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    source = (
        "captions=jsonl",
        f"captions.path={runs.write_pairs(tmp_path / 'pairs.jsonl')}",
        "shards.samples=3",
        "cluster.workers=2",
    )
    one, two = (
        runs.config(sd1_folder, clip_folder, *source, f"out={tmp_path / name}") for name in ("one", "two")
    )
    expected = runs.packed(one, Generate)
    with ray_cluster.cluster(two):
        assert made(two, [2, 0, 1]) == expected
    assert sum(file.rows for file in expected if file.name.startswith("data/")) == 10
    assert digests(Path(two.out)) == digests(Path(one.out))
