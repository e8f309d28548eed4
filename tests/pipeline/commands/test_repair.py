"""Units of images made again, by the command on real Ray: what was lost, what was damaged, what had failed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.config import resolve
from stages.generate import Generate
from stages.records import CaptionPair
from tests import runs
from tests.stages.worker.poison_stage import WHILE

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
    assert f"{lost} is missing" in said
    assert f"{damaged} is not what unit 1 committed" in said
    said = command(tmp_path, "repair", str(out))
    assert [line for line in said.splitlines() if "again" in line] == [
        "unit 0 is made again",
        "unit 1 is made again",
    ]
    assert packed(out) == before
    assert main(["verify", str(out)]) == 0


def test_a_pair_that_failed_once_is_listed_until_it_is_made(tmp_path: Path):
    mark = tmp_path / "mark"
    mark.touch()
    sick = CaptionPair(f"{WHILE}{mark}", "make it blue", "a blue ball")
    runs.write_pairs(
        tmp_path / "pairs.jsonl", [sick, CaptionPair("a red ball", "make it blue", "a blue ball")]
    )
    source = (
        "captions=jsonl",
        "captions.path=pairs.jsonl",
        "stage=tests.stages.worker.poison_stage.Poisonable",
    )
    said = command(tmp_path, *source, "cluster.workers=1", "unit_pairs=2", "edit.too_long=truncate")
    failures = tmp_path / "out/quarantine/pairs.jsonl"
    assert "1 caption pairs failed" in said
    assert len(failures.read_text().splitlines()) == 1
    mark.unlink()
    assert "unit 0 is made again" in command(tmp_path, "retry-failed", "out")
    assert not failures.exists()
    assert sum(name.endswith(".json") for name in _members(tmp_path / "out")) == 2


def _members(out: Path) -> list[str]:
    with tarfile.open(out / "data/train-000000.tar") as shard:
        return shard.getnames()
