"""Kills at every boundary, of a worker and of the driver: the same command again, and nothing is lost or twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fire import fire
from tests.fire.fire import Fire

SECONDS = 280
pytestmark = pytest.mark.timeout(600)


def whole(run: Fire, pairs: int, expected: Path) -> None:
    """Nothing lost, nothing twice, every byte as if nothing had happened."""
    keys = [f"{pair.id}-000" for pair in fire.pairs(pairs)]
    assert run.kept() == keys
    assert fire.digests(run.out) == fire.digests(expected)


WORKER = ("before-part 2 self", "after-part 5 self", "before-commit 7 self", "after-commit 9 self")


@pytest.mark.parametrize(
    ("tokens", "codes"),
    [
        (("after-part 2 self", "after-commit 9 driver"), [-9, 0]),
        pytest.param(
            # The tasks on the cluster write the full shards, of seven samples each; the driver writes the last.
            (*WORKER, "after-commit 15 driver", "within-shard 3 self", "within-shard 6 self"),
            [-9, -9, 0],
            marks=pytest.mark.long,
        ),
    ],
    ids=["two", "all"],
)
def test_kills_at_boundaries_lose_nothing_and_double_nothing(
    tmp_path: Path, tokens: tuple[str, ...], codes: list[int]
):
    run = Fire(tmp_path / "run", fire.pairs(48), *fire.FAKE, "cluster.workers=1")
    expected = fire.undisturbed(fire.checked(*run.settings, f"out={tmp_path / 'expected'}"))
    run.arm(*tokens)
    run.until_done(SECONDS, runs_at_most=len(codes))
    assert run.codes == codes, run.said()
    assert run.fired() == len(tokens)
    whole(run, 48, expected)


def test_ctrl_c_ends_soon_and_keeps_the_finished_units(tmp_path: Path):
    run = Fire(tmp_path / "run", fire.pairs(4000), *fire.FAKE, "unit_pairs=1", "cluster.workers=1")
    process = run.start()
    deadline = time.monotonic() + SECONDS
    while not list((run.out / "run/commits").glob("*.json")):
        assert process.poll() is None, run.said()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = fire.descendants(fire.psutil.Process(process.pid))
    asked = time.monotonic()
    fire.interrupt(process)
    code = process.wait(timeout=SECONDS)
    took = time.monotonic() - asked
    fire.end(family)
    assert code == 130, run.said()
    # Nine seconds, and what a busy machine takes to notice.
    assert took < 30, run.said()
    assert run.said().splitlines()[-1] == (
        "pairforge: stopped; what is committed stays, the same command goes on"
    )
    units = [commit["unit"] for commit in fire.commits(run.out)]
    assert 0 < len(units) < 4000
    assert len(set(units)) == len(units)
