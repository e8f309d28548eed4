from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.cli.main import main
from tests.pipeline.export.test_write_dataset import KEPT, finished
from tests.pipeline.outputs import planned


@pytest.fixture
def out(tmp_path: Path) -> Path:
    finished(str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.mark.parametrize("split", [[], ["split=[0.4,0.3,0.3]"]])
def test_it_prints_the_samples_of_each_split_that_it_wrote(out: Path, tmp_path: Path, capsys, split):
    target = tmp_path / "set"
    assert main(["export", str(out), f"to={target}", *split]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{target}: {sum(KEPT)} samples (train ")
    printed = {name: int(count) for name, count in re.findall(r"(train|validation|test) (\d+)", said)}
    assert sum(printed.values()) == sum(KEPT)
    for name, count in printed.items():
        assert sum(pq.read_table(file).num_rows for file in (target / "data").glob(f"{name}-*")) == count


def test_a_split_that_stays_empty_is_named(out: Path, tmp_path: Path, capsys):
    assert main(["export", str(out), f"to={tmp_path / 'set'}", "split=[0.998,0.001,0.001]"]) == 0
    assert "no sample is in validation and test" in capsys.readouterr().out


def test_a_folder_with_a_dataset_is_refused_and_left_as_it_is(out: Path, tmp_path: Path, capsys):
    target = tmp_path / "set"
    assert main(["export", str(out), f"to={target}"]) == 0
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["export", str(out), f"to={target}", "rows=3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"to={target} is not empty" in line
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before


def test_a_run_without_shards_is_refused(tmp_path: Path, capsys):
    planned(tmp_path / "out", 2)
    assert main(["export", str(tmp_path / "out"), f"to={tmp_path / 'set'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "out") in line
    assert not (tmp_path / "set").exists()
