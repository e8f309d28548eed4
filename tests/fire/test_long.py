"""A hundred kills, at random times and at every boundary: of drivers, of workers, of Ray nodes; two drivers at once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

from tests.fire import fire
from tests.fire.fire import Fire
from tests.fire.test_fire import whole

SECONDS = 1500
BOUNDARIES = ("before-part", "after-part", "before-commit", "after-commit")
pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]


class Attack:
    """Kills at random, the same in every run of the test but for the times that they find."""

    def __init__(self, run: Fire, kills: int, driver_share: float, seed: int = 0) -> None:
        self.run, self.left, self.driver_share = run, kills, driver_share
        self.random = random.Random(seed)

    def __call__(self, driver: psutil.Process) -> None:
        """Kill a worker, or the driver; nothing while no worker is there, nor once all kills are done."""
        victims = fire.workers(driver)
        if not victims or not self.left:
            return
        victim = driver if self.random.random() < self.driver_share else self.random.choice(victims)
        if fire.kill(victim):
            self.left -= 1
            self.run.kills += 1


def test_ninety_kills_over_thousands_of_units(tmp_path: Path):
    count = 6000
    run = Fire(tmp_path / "run", fire.pairs(count), *fire.FAKE, "shards.samples=500", "cluster.workers=2")
    expected = fire.undisturbed(fire.checked(*run.settings, f"out={tmp_path / 'expected'}"))
    units = range(50, 2850, 100)
    tokens = [f"{BOUNDARIES[i % 4]} {unit} self" for i, unit in enumerate(units)]
    drivers = [
        f"{boundary} {unit} driver" for boundary, unit in zip(BOUNDARIES, (333, 777, 1333, 2222), strict=True)
    ]
    packing = ["before-shard 2 self", "within-shard 5 self", "after-shard 8 self"]
    run.arm(*tokens, *drivers, *packing)
    attack = Attack(run, 90 - len(tokens) - len(drivers) - len(packing), driver_share=0.1)
    began = time.monotonic()
    while run.run(SECONDS, attack) != 0:
        assert len(run.codes) < 40, run.said()
    kills = run.kills + run.fired()
    print(f"{kills} kills, {len(run.codes)} runs, {time.monotonic() - began:.0f} s, exit codes {run.codes}")
    assert run.fired() == len(tokens) + len(drivers) + len(packing)
    whole(run, count, expected)
    assert kills == 90


@contextmanager
def several_nodes(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A Ray cluster of a head, to which the driver connects and which has no CPU, and of three nodes of one each."""
    for name, value in fire.environment(tokens).items():
        monkeypatch.setenv(name, value)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(3):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def test_nodes_that_are_killed_and_replaced_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    count, chance, killed, last = 1600, random.Random(1), 0, time.monotonic()
    run = Fire(tmp_path / "run", fire.pairs(count), *fire.FAKE, "shards.samples=100", "cluster=ray")
    expected = fire.undisturbed(fire.checked(*run.settings, "cluster=local", f"out={tmp_path / 'expected'}"))
    with several_nodes(run.tokens, monkeypatch) as cluster:
        run.settings.append(f"cluster.address={cluster.address}")

        def attack(driver: psutil.Process) -> None:
            nonlocal killed, last
            if killed == 10 or time.monotonic() - last < 5 or not list(run.out.glob("run/commits/*.json")):
                return
            cluster.remove_node(chance.choice(sorted(cluster.worker_nodes, key=id)), allow_graceful=False)
            killed, last = killed + 1, time.monotonic()
            cluster.add_node(num_cpus=1)

        began = time.monotonic()
        while run.run(SECONDS, attack) != 0:
            assert len(run.codes) < 10, run.said()
        print(
            f"{killed} nodes, {len(run.codes)} runs, {time.monotonic() - began:.0f} s, exit codes {run.codes}"
        )
    whole(run, count, expected)
    assert killed == 10


def test_nodes_that_do_not_come_back_end_the_run_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Fire(tmp_path / "run", fire.pairs(8000), *fire.FAKE, "cluster=ray", "cluster.wait_seconds=10")
    with several_nodes(run.tokens, monkeypatch) as cluster:
        run.settings.append(f"cluster.address={cluster.address}")
        gone = False

        def attack(driver: psutil.Process) -> None:
            nonlocal gone
            if not gone and list(run.out.glob("run/commits/*.json")):
                gone = True
                for node in list(cluster.worker_nodes):
                    cluster.remove_node(node, allow_graceful=False)

        assert run.run(240, attack) == 1, run.said()
    (line,) = [line for line in run.said().splitlines() if line.startswith("pairforge: ")]
    assert "no machine of the cluster could hold a worker for 10 s" in line
    assert "the same command goes on" in line


def test_two_drivers_on_one_output_end_well_with_the_same_bytes(tmp_path: Path):
    count = 60
    run = Fire(tmp_path / "run", fire.pairs(count), *fire.FAKE, "cluster.workers=1")
    expected = fire.undisturbed(fire.checked(*run.settings, f"out={tmp_path / 'expected'}"))
    drivers = [run.start(), run.start()]
    codes = [driver.wait(timeout=SECONDS) for driver in drivers]
    assert codes == [0, 0], run.said()
    whole(run, count, expected)
    parts = {part["name"] for commit in fire.commits(run.out) for part in commit["part"].values()}
    assert len(list((run.out / "run/parts").iterdir())) > len(parts), "they did not run at once"


def test_a_run_whose_time_is_over_says_so_and_goes_on_later(tmp_path: Path):
    run = Fire(tmp_path / "run", fire.pairs(3000), *fire.FAKE, "unit_pairs=1", "cluster.workers=1")
    process = run.start(f"cluster.hours={20 / 3600}")
    assert process.wait(timeout=SECONDS) == 1, run.said()
    (line,) = [line for line in run.said().splitlines() if line.startswith("pairforge: ")]
    assert "its time is over (cluster.hours=" in line
    assert 0 < len(fire.commits(run.out)) < 3000
