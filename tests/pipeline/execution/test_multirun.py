from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from pipeline.cli.main import main
from pipeline.config import resolve
from pipeline.execution.multirun import NUMBERS, Sweep
from stages.generate import Generate
from stages.storage.ownership import MARKER
from stages.storage.store import Store
from tests import runs
from tests.pipeline.cli.test_main import refused


@pytest.fixture
def given(sd1_folder: Path, clip_folder: Path, tmp_path: Path) -> list[str]:
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    return runs.settings(sd1_folder, clip_folder, "captions=jsonl", f"captions.path={path}", "limit=1")


def _commit(given: list[str], out: Path, number: int, *settings: str) -> None:
    """Make the units of a run beforehand, so that the command has only to pack them."""
    out.mkdir(exist_ok=True)
    marker = {"holds": "multirun", "steps": [str(n) for n in range(number + 1)]}
    (out / MARKER).write_text(json.dumps(marker))
    runs.committed(resolve.checked(resolve.compose([*given, *settings, f"out={out}/{number}"])), Generate)


@pytest.mark.timeout(300)
def test_a_sweep_makes_an_output_of_each_and_a_table(given: list[str], tmp_path: Path, capsys):
    out = tmp_path / "swept"
    for number, seed in enumerate((3, 4)):
        _commit(given, out, number, f"seed={seed}", "filter.max_per_pair=1")
    command = ["-m", *given, "seed=3,4", "filter.max_per_pair=1", f"out={out}"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "caption pairs read" in told
    assert str(out / "multirun.csv") in told
    rows = list(csv.DictReader((out / "multirun.csv").open()))
    assert [(row["number"], row["seed"], row["exit_code"]) for row in rows] == [
        ("0", "3", "0"),
        ("1", "4", "0"),
    ]
    assert [(row["pairs"], row["candidates"], row["samples"]) for row in rows] == [("1", "6", "1")] * 2
    assert all(-1 <= float(row["mean_clip_sim_dir"]) <= 1 for row in rows)
    for number in ("0", "1"):
        assert main(["verify", str(out / number)]) == 0
    capsys.readouterr()
    for name in ("status", "report"):
        assert main([name, str(out)]) == 0
        told = capsys.readouterr().out
        assert str(out / "0") in told
        assert str(out / "1") in told
        assert main([name, str(out), "--json"]) == 0
        runs_told = json.loads(capsys.readouterr().out)["runs"]
        assert [run["out"] for run in runs_told] == [str(out / "0"), str(out / "1")]

    # A further value gets the next number; the runs before keep theirs.
    _commit(given, out, 2, "seed=2", "filter.max_per_pair=1")
    assert main(["--multirun", "--json", *given, "seed=2,3", "filter.max_per_pair=1", f"out={out}"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads((out / "multirun.json").read_text())
    assert [(run["number"], run["seed"]) for run in json.loads(line)["runs"]] == [
        (0, "3"),
        (1, "4"),
        (2, "2"),
    ]
    assert json.loads((out / MARKER).read_text())["steps"] == ["0", "1", "2"]
    assert "multirun" in refused(capsys, *given, f"out={out}")


@pytest.mark.timeout(300)
def test_a_run_that_fails_does_not_stop_the_others(given: list[str], tmp_path: Path, capsys):
    out = tmp_path / "swept"
    paths = f"captions.path={tmp_path}/none.jsonl,{tmp_path}/pairs.jsonl"
    _commit(given, out, 1)
    assert main(["-m", "--quiet", *given, paths, f"out={out}"]) == 2
    said = capsys.readouterr()
    assert f"{tmp_path}/none.jsonl" in said.err
    assert said.out == ""
    rows = list(csv.DictReader((out / "multirun.csv").open()))
    assert [(row["exit_code"], row["samples"]) for row in rows] == [("2", ""), ("0", rows[1]["samples"])]
    assert int(rows[1]["samples"]) > 0
    assert not (out / "0").exists()


def test_a_sweep_of_which_no_run_begins_leaves_nothing(given: list[str], tmp_path: Path, capsys):
    out = tmp_path / "swept"
    assert main(["-m", *given, f"captions.path={tmp_path}/a.jsonl,{tmp_path}/b.jsonl", f"out={out}"]) == 2
    assert "none of the 2 runs could begin" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sampler.steps=4,many"], "sampler.steps"),
        (["sampler.steps=4,0"], "sampler.steps=0 must be from 1"),
        (["model=path,nothing"], "no option 'nothing' in group 'model'"),
        (["out=a,b"], "out= takes one folder"),
        (["--cfg", "job"], "exclude each other"),
    ],
)
def test_a_sweep_with_a_wrong_value_begins_no_run(
    given: list[str], settings: list[str], message: str, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "-m", *given, *settings)
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.jsonl"]


def test_an_output_of_one_run_takes_no_sweep(given: list[str], tmp_path: Path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MARKER).write_text('{"holds": "dataset", "steps": []}')
    assert "holds what another command wrote" in refused(
        capsys, "-m", *given, "seed=1,2", f"out={tmp_path / 'out'}"
    )


def test_a_combination_keeps_its_number(tmp_path: Path):
    out = str(tmp_path)
    first = Sweep.read(out, ["seed"], [["limit=1", "seed=5"], ["limit=1", "seed=6"]])
    assert [first.folder(run) for run in first.runs] == [f"{out}/0", f"{out}/1"]
    Store(out).write(NUMBERS, b"- [seed=5]\n- [seed=6]\n")
    second = Sweep.read(out, ["seed"], [["seed=4"], ["seed=6"], ["seed=4"]])
    assert [second.folder(run) for run in second.runs] == [f"{out}/2", f"{out}/1"]


@pytest.mark.parametrize("text", ["[", "3", "- 3", "\xff"])
def test_a_damaged_list_of_runs_is_one_line(text: str, tmp_path: Path):
    (tmp_path / NUMBERS).write_text(text, encoding="latin1")
    with pytest.raises(ConfigError, match=rf"{NUMBERS} is damaged"):
        Sweep.read(str(tmp_path), ["seed"], [["seed=1"]])
