from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from pipeline.cli.main import main
from pipeline.config import resolve
from pipeline.tasks import estimate
from pipeline.tasks.prior_from import freeze_priors
from stages.generate import Generate
from stages.storage.store import Store
from tests import runs


@pytest.fixture
def given(sd1_folder: Path, clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    path = runs.write_pairs(tmp_path / "pairs.jsonl", runs.PAIRS)
    with path.open("a") as lines:
        lines.write("not JSON\n")
    return runs.settings(sd1_folder, clip_folder, "captions=jsonl", f"captions.path={path}")


def test_a_whole_probe_counts_what_the_run_would_make(given: list[str], tmp_path: Path, capsys):
    assert main(["plan", "--json", "probe=1000", *given]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["pairs"], told["quarantined"], told["units"]) == (5, 1, 3)
    assert list(told["reasons"].values()) == [1]
    # Every pair was probed, so that there is nothing to multiply: 2 seeds of 3 values of tau.
    assert told["probe"]["pairs"] == 5
    assert told["candidates"] == told["probe"]["candidates"] == 5 * 2 * 3
    assert told["rows"] == told["probe"]["rows"] > 0
    assert told["hours"]["1"] == pytest.approx(told["probe"]["seconds"] / 3600, rel=0.01, abs=1e-5)
    assert told["hours"]["8"] == pytest.approx(told["hours"]["1"] / 8, abs=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.jsonl"}


def test_a_short_probe_is_multiplied_and_told_in_words(given: list[str], capsys):
    assert main(["plan", "probe=0", *given]) == 0
    told = capsys.readouterr().out
    assert "5 in 3 units; 1 lines would be quarantined" in told
    assert "2 pairs took" in told
    assert f"{5 * 2 * 3} of" in told.replace(",", "")
    assert "nothing was written" in told


def test_each_combination_of_a_sweep_is_estimated(given: list[str], capsys):
    assert main(["plan", "-m", "--json", "probe=0", *given, "sweep.seeds=1,2"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [(run["sweep.seeds"], run["candidates"]) for run in runs] == [("1", 15), ("2", 30)]


@pytest.mark.parametrize("probe", ["probe=soon", "probe=-1", "probe=inf"])
def test_a_probe_that_is_no_time_is_named(given: list[str], probe: str, capsys):
    assert main(["plan", probe, *given]) == 2
    assert probe in capsys.readouterr().err


def test_a_stage_that_is_not_there_is_one_line(given: list[str], capsys):
    assert main(["plan", *given, "stage=stages.generate.Genrate"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "stage=stages.generate.Genrate: module 'stages.generate' has no attribute 'Genrate'" in line


def test_an_input_without_a_good_pair_says_why(given: list[str], tmp_path: Path, capsys):
    (tmp_path / "none.jsonl").write_text("not JSON\n")
    assert main(["plan", *given, f"captions.path={tmp_path / 'none.jsonl'}"]) == 2
    said = capsys.readouterr().err
    assert "none of 1 lines" in said
    assert len(said.splitlines()) == 1


def test_the_prior_is_learnt_as_a_run_learns_it(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    earlier = tmp_path / "earlier"
    adaptive = [
        *(one for one in given if not one.startswith("sweep.")),
        *("sweep=adaptive", "sweep.taus=[0.25,1.0]", "sweep.prior=[0.02,0.5]", "limit=1"),
        *(f"out={tmp_path / 'out'}", f"sweep.prior_from={earlier}"),
    ]
    assert main(["plan", *adaptive]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{earlier} is not the output of a run" in line

    grid = resolve.checked(resolve.compose([*given, "sweep.seeds=1", "sweep.taus=[0.25]", f"out={earlier}"]))
    runs.committed(grid, Generate)
    asked = resolve.checked(resolve.compose(adaptive))
    assert isinstance(asked.sweep, AdaptiveSweep)
    probed: list[Config] = []
    stage = estimate.load_stage(asked.stage)
    monkeypatch.setattr(
        estimate,
        "load_stage",
        lambda name: lambda config, model: probed.append(config) or stage(config, model),
    )
    assert main(["plan", "probe=0", *adaptive]) == 0
    assert [config.sweep for config in probed] == [freeze_priors(asked, Store(asked.out)).sweep]
    assert probed[0].sweep != asked.sweep
    assert not (tmp_path / "out").exists()
