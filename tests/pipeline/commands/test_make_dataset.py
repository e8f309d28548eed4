from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pipeline.cli.main import main
from pipeline.config import resolve
from stages.generate import Generate
from tests import runs
from tests.pipeline.cli.test_main import refused


@pytest.fixture
def given(sd1_folder: Path, clip_folder: Path, tmp_path: Path) -> list[str]:
    path = runs.write_pairs(tmp_path / "pairs.jsonl")
    source = ["captions=jsonl", f"captions.path={path}", "limit=2", f"out={tmp_path / 'out'}"]
    return runs.settings(sd1_folder, clip_folder, *source)


def test_a_run_whose_units_are_committed_is_packed_and_counted(given: list[str], tmp_path: Path, capsys):
    runs.committed(resolve.checked(resolve.compose(given)), Generate)
    assert main([*given, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["pairs"], told["failed"]) == (2, 0)
    assert told["samples"] > 0
    assert list((tmp_path / "out/data").glob("*.tar"))
    assert main(["verify", str(tmp_path / "out")]) == 0


def test_the_printed_configuration_is_that_of_the_run(given: list[str], capsys):
    assert main([*given, "--cfg", "job"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["sampler"]["steps"] == 4
    assert printed["filter"]["max_per_pair"] == resolve.compose(given).filter.max_per_pair
    assert printed["out"] == given[-1].removeprefix("out=")


def test_a_run_in_two_steps_prints_a_document_for_each(tmp_path: Path, capsys):
    captions = tmp_path / "captions.txt"
    captions.write_text("a red ball\n")
    assert main(["--cfg", "job", "captions=from_captions", f"captions.path={captions}", "edits=3"]) == 0
    pairs, images = yaml.safe_load_all(capsys.readouterr().out)
    assert (pairs["edits"], pairs["captions"]["path"]) == (3, str(captions))
    assert "sampler" in images
    assert "sampler" not in pairs
    given = [
        "captions=from_captions",
        f"captions.path={captions}",
        "++edits=3",
        "++seed=4",
        "hydra.verbose=true",
    ]
    assert main([*given, "--cfg", "job", "-p", "log"]) == 0
    assert capsys.readouterr().out == "debug\n---\ndebug\n"
    assert main([*given, "--cfg", "hydra", "-p", "hydra.job.config_name"]) == 0
    assert capsys.readouterr().out == "config\n"


def test_quiet_and_json_exclude_each_other(given: list[str], tmp_path: Path, capsys):
    assert "exclude each other" in refused(capsys, *given, "--quiet", "--json")
    assert not (tmp_path / "out").exists()
