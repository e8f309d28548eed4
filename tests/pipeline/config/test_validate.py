from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from pipeline.config import resolve, validate
from pipeline.config.resolve import checked, compose
from tests.pipeline.pairs import small


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["cluster.workers=0"], "cluster.workers=0 must be 1 or more"),
        (["cluster.batch_rows=3"], "cluster.batch_rows=3 must be 4 or more"),
        (["cluster.threads=9999"], "cluster.threads=9999 is far more than the"),
        (["cluster.workers=9999"], "cluster.workers=9999 is far more than the"),
        (["cluster.threads=0"], "cluster.threads=0 must be 1 or more"),
        (["cluster.unit_seconds=0.5"], "cluster.unit_seconds=0.5 must be 1 or more"),
        (["cluster.wait_seconds=-1"], "cluster.wait_seconds=-1.0 must be 1 or more"),
        (["cluster.metrics_port=0"], "cluster.metrics_port=0 must be from 1 to 65535"),
        (["cluster.hours=0"], "cluster.hours=0 must be over 0"),
        (["cluster=ray"], "cluster=ray needs cluster.address"),
        (
            ["cluster=ray", "cluster.address=auto", "cluster.metrics_port=8080"],
            "ray start --metrics-export-port",
        ),
        (["captions.path=s3://bucket/a.jsonl"], "captions are read from files on this machine"),
        (["tracker=tensorboard", "out=s3://bucket/a"], "tensorboard does not write to s3://bucket/a"),
    ],
)
def test_a_run_of_either_kind_is_refused_by_name(tmp_path: Path, settings: list[str], said: str):
    with pytest.raises(ConfigError) as of_images:
        checked(compose(settings))
    with pytest.raises(ConfigError) as of_texts:
        resolve.read_pairs_settings([*small.settings(tmp_path), *settings])
    assert said in str(of_images.value)
    assert str(of_images.value) == str(of_texts.value)


def test_known_names_and_modules_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_part.py").write_text("raise RuntimeError('not to be imported yet')")
    for name in ("ddim", "own_part", "own_part.deeper"):
        assert not list(validate.check_name("sampler.name", name, ["ddim", "euler"]))


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ddim ", "nowhere.at.all"])
def test_an_unknown_name_is_reported(name: str):
    (line,) = validate.check_name("sampler.name", name, ["ddim", "euler"])
    assert line.startswith(f"sampler.name={name} is none of ddim, euler, and Python finds no module")


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("sampler.name=dpmp_2m", "dpmpp_2m"),
        ("captions.kind=jsnl", "jsonl"),
        ("captions.kind=datset", "dataset"),
    ],
)
def test_a_misspelled_name_is_refused_with_a_suggestion(setting: str, meant: str):
    with pytest.raises(ConfigError, match=rf"{setting} is none of .* \(did you mean {meant}\?\)$"):
        checked(compose([setting]))


def test_a_stage_that_python_does_not_find_is_refused(tmp_path: Path):
    with pytest.raises(
        ConfigError, match=r"stage=foo.Bar is none of stages\.generate\.Generate, and Python finds no"
    ):
        checked(compose(["stage=foo.Bar"]))
    with pytest.raises(ConfigError, match=r"stage=foo.Bar is none of stages\.write_pairs\.WritePairs, and"):
        resolve.read_pairs_settings([*small.settings(tmp_path), "stage=foo.Bar"])
