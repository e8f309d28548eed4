"""Units of images made again, by the command on real Ray: what was lost, and what was damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.config import resolve
from stages.generate import Generate
from tests import runs

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.timeout(600), pytest.mark.long]


def command(folder: Path, *arguments: str) -> str:
    """What the command said; it has to end well."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def packed(out: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for name in ("data", "scores") for path in (out / name).iterdir()}


def test_units_whose_part_is_lost_or_damaged_are_generated_again(
    sd1_folder: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    out = tmp_path / "out"
    source = (
        "captions=jsonl",
        f"captions.path={path}",
        f"out={out}",
        "shards.samples=3",
        "cluster.workers=1",
    )
    config = resolve.checked(resolve.compose(runs.settings(sd1_folder, clip_folder, *source)))
    runs.packed(config, Generate)
    before = packed(out)
    (lost,) = (out / "run/parts").glob("00000000-*.samples.tar")
    lost.unlink()
    (damaged,) = (out / "run/parts").glob("00000001-*.scores.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert main(["verify", str(out)]) == 1
    said = capsys.readouterr().out
    assert f"{lost} of unit 0 is missing" in said
    assert f"{damaged} of unit 1 is damaged" in said
    said = command(tmp_path, "repair", str(out))
    assert [line for line in said.splitlines() if "again" in line] == [
        "unit 0 is made again",
        "unit 1 is made again",
    ]
    assert packed(out) == before
    assert main(["verify", str(out)]) == 0
