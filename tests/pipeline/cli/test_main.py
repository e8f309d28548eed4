from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conf.setting_keys import GROUPS, options
from pipeline.cli.main import main
from tests import runs


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which ``main`` refuses ``arguments``."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("pairforge: ")
    assert said.out == ""
    return line


@pytest.fixture
def usual(sd1_folder: Path, clip_folder: Path, tmp_path: Path) -> list[str]:
    pairs = runs.write_pairs(tmp_path / "pairs.jsonl")
    source = ["captions=jsonl", f"captions.path={pairs}"]
    return [*runs.settings(sd1_folder, clip_folder), *source, f"out={tmp_path / 'out'}"]


def test_help_tells_a_stranger_every_group_and_option(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for group in GROUPS:
        assert group in text
        for name, about in options(group).items():
            assert name in text
            assert about in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 100


def test_cfg_job_prints_all_settings_and_runs_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["--cfg", "job", "sampler.steps=7"]) == 0
    text = capsys.readouterr().out
    assert "steps: 7" in text
    assert "clip_sim_dir" in text
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_is_named_with_its_like(capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "sweep.tausz=[0.5]")
    assert "sweep.tausz" in line
    assert "sweep.taus " in line or "sweep.taus?" in line


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("sweep.taus=[0.5,1.5]", "sweep.taus"),
        ("sweep.taus=[]", "sweep.taus"),
        ("sweep.taus=[0.5,0.5]", "sweep.taus"),
        ("sweep.seeds=0", "sweep.seeds"),
        ("shards.samples=0", "shards.samples"),
        ("shards.quality=0", "shards.quality"),
        ("sampler.steps=0", "sampler.steps"),
        ("limit=0", "limit"),
        ("unit_pairs=0", "unit_pairs"),
        ("cluster=ray", "cluster.address"),
        ("filter.name=local-dir:/no/such", "/no/such"),
        ("--dry-run", "--dry-run"),
    ],
)
def test_a_value_that_cannot_be_is_named(capsys, usual: list[str], setting: str, said: str):
    assert said in refused(capsys, *usual, setting)


def test_captions_that_are_not_there(capsys, usual: list[str]):
    assert "/no/such.jsonl" in refused(capsys, *usual, "captions.path=/no/such.jsonl")


def test_captions_with_no_good_line(capsys, usual: list[str], tmp_path: Path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('not json\n{"input": "a"}\n')
    line = refused(capsys, *usual, f"captions.path={bad}")
    assert str(bad) in line
    assert "no good line" in line


def test_a_folder_that_is_no_model(capsys, usual: list[str], tmp_path: Path):
    assert str(tmp_path) in refused(capsys, *usual, f"model.path={tmp_path}")
    assert "/no/such" in refused(capsys, *usual, "model.path=/no/such")


def test_a_family_that_is_not_supported(capsys, usual: list[str], tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "KandinskyPipeline"}))
    line = refused(capsys, *usual, f"model.path={folder}")
    assert "KandinskyPipeline" in line
    assert "StableDiffusionPipeline" in line


def test_the_command_as_a_user_calls_it(tmp_path: Path):
    command = [sys.executable, "-m", "pipeline.cli.main", "sweep.tau=0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_reader_who_has_left_is_told_nothing():
    """As ``head`` leaves."""
    asked = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert asked.stdout
    assert asked.stderr
    asked.stdout.close()
    assert asked.stderr.read() == b""
    assert asked.wait() == 1


def test_an_output_below_a_file_is_one_line(capsys, usual: list[str], tmp_path: Path):
    file = tmp_path / "README.md"
    file.write_text("")
    for place in (file / "x", file / "x/y"):
        assert f"out={place} lies below {file}, which is a file" in refused(capsys, *usual, f"out={place}")
        assert str(file) in refused(capsys, "status", str(place))
        given = (f"data={tmp_path / 'triples.jsonl'}", "writer.model=none", f"out={place}")
        assert str(file) in refused(capsys, "finetune", *given)
    assert f"out={file} is a file" in refused(capsys, *usual, f"out={file}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--info", "defaults"], "Defaults List"),
        (["--hydra-help"], "The schema is closed"),
        (["plan", "--cfg", "job", "--package", "sampler", "probe=3"], "steps: ${model.steps}"),
        (["pairs", "--cfg", "job", "-p", "captions"], "path: ???"),
        (["~limit", "-c", "job", "-p", "limit"], "None"),
    ],
)
def test_the_options_of_hydra_print_and_run_nothing(arguments: list[str], words: str, tmp_path: Path):
    command = [sys.executable, "-m", "pipeline.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert words in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_options_of_hydra_that_need_another_are_named(capsys: pytest.CaptureFixture[str]):
    assert "add --cfg job" in refused(capsys, "--resolve")
    assert "exclude each other" in refused(capsys, "--cfg", "job", "--info")
