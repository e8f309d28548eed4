from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from pipeline.cli.main import main
from stages.records import CaptionPair
from stages.storage import heartbeat
from tests import runs
from tests.pipeline.commands.test_repair import command
from tests.pipeline.outputs import commit, planned
from tests.stages.worker.poison_stage import WHILE


def files(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (out / "run/commits").iterdir()}


def test_a_live_run_is_refused_and_keeps_its_failed_units(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 2)
    commit(store, [1, 1], failed=1)
    before = files(tmp_path)
    with heartbeat.keep_heartbeat(store, float):
        assert main(["retry-failed", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path} has a live run" in line
    assert files(tmp_path) == before


def test_without_failed_pairs_no_unit_is_made_again(tmp_path: Path, capsys):
    store, _ = planned(tmp_path, 2)
    commit(store, [1, 2])
    before = files(tmp_path)
    assert main(["retry-failed", str(tmp_path)]) == 0
    assert "made again" not in capsys.readouterr().out
    assert files(tmp_path) == before


def test_what_is_no_output_is_one_line(tmp_path: Path, capsys):
    assert main(["retry-failed", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "none") in line


@pytest.mark.long
@pytest.mark.timeout(600)
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
