"""A caption pair that kills its process, through the command, on real Ray: it alone is lost, the rest is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from stages.records import CaptionPair
from tests import runs
from tests.stages.poison import SEGFAULT

ROOT = Path(__file__).parents[2]
SECONDS = 550
WELL = [CaptionPair(f"a red ball {number}", "make it blue", "a blue ball") for number in range(5)]
SICK = CaptionPair(SEGFAULT, "make it blue", "a blue ball")


@pytest.mark.timeout(600)
def test_a_pair_that_crashes_is_quarantined_and_the_rest_kept(tmp_path: Path):
    runs.write_pairs(tmp_path / "pairs.jsonl", [*WELL[:2], SICK, *WELL[2:]])
    settings = ["captions=jsonl", "captions.path=pairs.jsonl", "stage=tests.stages.poison.Poisonable"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *settings, "strict=true", "cluster.workers=1", "unit_pairs=4"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "failed pairs" in done.stdout
    (failure,) = map(json.loads, (tmp_path / "out/quarantine/pairs.jsonl").read_text().splitlines())
    assert failure["input"] == SICK.input
    assert "SIGSEGV" in failure["reason"]
    with tarfile.open(tmp_path / "out/data/train-000000.tar") as shard:
        keys = list(dict.fromkeys(name.partition(".")[0] for name in shard.getnames()))
    assert keys == [f"{pair.id}-000" for pair in WELL]
