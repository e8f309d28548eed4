from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import p2p
from conf.config_errors import ConfigError
from conf.pairs import WriterKind
from conf.schema import CaptionsKind
from pipeline.cli.main import main
from pipeline.pairs.two_step_settings import OPTION, configured, split
from pipeline.tasks.pair_task import PairTask
from stages.records import CaptionPair, Quarantined
from stages.writers.base import Answer
from stages.writers.checks import Checker

GIVEN = [
    OPTION,
    "captions.path=c.txt",
    "writer=grammar",
    "edits=2",
    "limit=5",
    "seed=3",
    "sweep.seeds=2",
    "out=o",
]


def test_each_setting_goes_to_its_step_and_some_to_both() -> None:
    writing, making = split([*GIVEN, "pairs.unit_pairs=8", "unit_pairs=2"])
    assert writing == [
        "captions.path=c.txt",
        "writer=grammar",
        "edits=2",
        "limit=5",
        "seed=3",
        "unit_pairs=8",
    ]
    assert making == ["seed=3", "sweep.seeds=2", "out=o", "unit_pairs=2"]


def test_a_setting_of_the_first_step_alone_wins_there() -> None:
    writing, making = split(
        ["pairs.tracker=none", "tracker=wandb", "cluster.workers=4", "pairs.cluster.workers=1"]
    )
    assert writing == ["tracker=none", "cluster.workers=1"]
    assert making == ["tracker=wandb", "cluster.workers=4"]


def test_the_second_step_reads_the_file_of_the_first(tmp_path: Path) -> None:
    pairs, images = configured([*GIVEN, f"out={tmp_path}", "file=parquet"])
    assert (pairs.out, images.out) == (f"{tmp_path}/pairs", str(tmp_path))
    assert images.captions.path == f"{tmp_path}/pairs/pairs.parquet"
    assert images.captions.kind == CaptionsKind.auto
    assert (pairs.limit, images.limit) == (5, None)
    assert (pairs.seed, images.seed) == (3, 3)
    assert pairs.writer.kind is WriterKind.grammar


def test_the_second_step_finds_the_images_of_the_captions(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("a cat\n")
    _, images = configured([OPTION, f"captions.path={tmp_path / 'c.txt'}", f"out={tmp_path / 'o'}"])
    assert images.captions.images == str(tmp_path)
    _, images = configured([OPTION, "captions.path=c.txt", "captions.images=s3://photos", "out=o"])
    assert images.captions.images == "s3://photos"


def test_captions_may_be_as_long_as_the_image_model_takes(tmp_path: Path) -> None:
    other = [*GIVEN, "model=sd15", f"model.path={tmp_path}", "model.revision=v1"]
    pairs, _ = configured(other)
    assert (pairs.checks.model, pairs.checks.revision) == (str(tmp_path), "v1")
    pairs, _ = configured([*other, "checks.model=owner/name"])
    assert (pairs.checks.model, pairs.checks.revision) == ("owner/name", None)


def test_a_user_s_family_opens_the_image_model_s_tokenizer(
    sd1_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside_split.py").write_text(
        "from p2p.families.sd import HALF, load\nfrom p2p.text.token_windows import clip_window as window\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = shutil.copytree(sd1_folder, tmp_path / "model")
    index = (sd1_folder / "model_index.json").read_text()
    (model / "model_index.json").write_text(index.replace("StableDiffusionPipeline", "KandinskyPipeline"))
    captions = tmp_path / "captions.jsonl"
    captions.write_text(f'{{"caption": "a red ball"}}\n{{"caption": "{"a red ball " * 20}"}}\n')
    given = [OPTION, f"captions.path={captions}", "writer=grammar", "model=path", f"model.path={model}"]
    with pytest.raises(p2p.ModelError, match="KandinskyPipeline is not supported"):
        list(PairTask(configured(given)[0]).read())
    pairs, images = configured([*given, "model.family=outside_split"])
    assert pairs.checks.family == images.model.family == "outside_split"
    good, bad = PairTask(pairs).read()
    assert isinstance(good, CaptionPair)
    assert good.input == "a red ball"
    assert isinstance(bad, Quarantined)
    assert "the model's text encoder takes 20" in bad.reason
    answer = Answer("make it blue", "a blue ball " * 20)
    assert Checker(pairs.checks)("a red ball", [answer]) == ["too_long"]
    settings = PairTask(pairs).settings("", PairTask(pairs).identify())
    assert settings["checks.family"] == "outside_split"
    pairs, _ = configured([*given, "model.family=outside_split", "checks.model=owner/name"])
    assert pairs.checks.family is None


def test_an_experiment_does_not_replace_the_captions() -> None:
    pairs, images = configured([*GIVEN, "experiment=demo"])
    assert images.captions.path.endswith("/pairs/pairs.jsonl")
    assert pairs.captions.path == "c.txt"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["pairs.out=x"], "writes the pairs to OUT/pairs"),
        (["writer.tempreture=1"], "did you mean writer.temperature"),
        (["sweep.sedes=1"], "did you mean sweep.seeds"),
        (["pairs.sweep.seeds=1"], "unknown key 'sweep.seeds'"),
        (["writer=gpt"], "no option 'gpt' in group 'writer'"),
    ],
)
def test_an_invalid_setting_of_either_step_is_named(more: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        configured([*GIVEN, *more])


def test_the_job_is_shown_in_two_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GIVEN, "--cfg", "job"]) == 0
    first, second = capsys.readouterr().out.split("---\n")
    assert "writer:" in first
    assert "sweep:" in second


@pytest.mark.parametrize(
    ("command", "message"), [("plan", "works for a run alone"), ("pairs", "is for pairforge")]
)
def test_other_commands_do_not_take_it(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, OPTION, "captions.path=c.txt"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"captions=from_captions {message}" in line
