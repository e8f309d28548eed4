"""The mini world's own models under fire: three workers that are killed make the bytes of one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import miniworld
from stages.records import CaptionPair
from tests import runs
from tests.fire import fire
from tests.fire.fire import Fire
from tests.fire.test_long import SECONDS, Attack

SETTINGS = (
    "model=miniworld",
    "sampler.steps=4",
    "sweep.seeds=1",
    "sweep.taus=[0.4,0.8]",
    "unit_pairs=2",
    "shards.samples=4",
    *runs.PERMISSIVE,
)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_kills_of_workers_and_drivers_do_not_change_the_bytes(tmp_path: Path):
    lines = miniworld.CAPTIONS.read_text().splitlines()[:16]
    records = [json.loads(line) for line in lines]
    pairs = [CaptionPair(record["input"], record["edit"], record["output"]) for record in records]
    calm = Fire(tmp_path / "calm", pairs, *SETTINGS, "cluster.workers=1")
    assert calm.run(SECONDS) == 0, calm.said()
    run = Fire(tmp_path / "run", pairs, *SETTINGS, "cluster.workers=3")
    run.arm("before-commit 2 self", "after-part 4 driver", "within-shard 1 self")
    attack = Attack(run, kills=5, driver_share=0.0, seed=3)
    while run.run(SECONDS, attack, every=4.0) != 0:
        assert len(run.codes) < 10, run.said()
    assert run.fired() == 3
    assert run.kept() == calm.kept()
    assert fire.digests(run.out) == fire.digests(calm.out)
