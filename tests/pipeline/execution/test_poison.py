"""Caption pairs that kill or hang their process, through the command, on real Ray: they alone are lost."""

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
from tests.stages.worker.poison_stage import HANG, KILLED, MEMORY, SEGFAULT

ROOT = Path(__file__).parents[3]
SECONDS = 550
WELL = [CaptionPair(f"a red ball {number}", "make it blue", "a blue ball") for number in range(5)]
SICK = {
    SEGFAULT: "SIGSEGV",
    KILLED: "SIGKILL, as is done where memory runs out",
    MEMORY: "MemoryError",
    HANG: "took more than 30 s (cluster.unit_seconds)",
}
MORE = ("cluster.workers=1", "unit_pairs=4", "cluster.unit_seconds=30")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("sick", "strict", "code"),
    [
        ([SEGFAULT], True, 3),
        pytest.param([SEGFAULT, KILLED, MEMORY, HANG], False, 0, marks=pytest.mark.long),
    ],
)
def test_pairs_that_crash_or_hang_are_quarantined(tmp_path: Path, sick: list[str], strict: bool, code: int):
    lost = [CaptionPair(caption, "make it blue", "a blue ball") for caption in sick]
    runs.write_pairs(tmp_path / "pairs.jsonl", [*WELL[:2], *lost, *WELL[2:]])
    settings = [
        "captions=jsonl",
        "captions.path=pairs.jsonl",
        "stage=tests.stages.worker.poison_stage.Poisonable",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *settings, f"strict={strict}", *MORE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stderr
    (count,) = [line.split()[0] for line in done.stdout.splitlines() if "failed pairs" in line]
    assert int(count) == len(sick)
    failures = [
        json.loads(line) for line in (tmp_path / "out/quarantine/pairs.jsonl").read_text().splitlines()
    ]
    assert [failure["input"] for failure in failures] == sick
    for failure in failures:
        assert SICK[failure["input"]] in failure["reason"]
        assert "unit " in failure["reason"]
    with tarfile.open(tmp_path / "out/data/train-000000.tar") as shard:
        keys = list(dict.fromkeys(name.partition(".")[0] for name in shard.getnames()))
    assert keys == [f"{pair.id}-000" for pair in WELL]
