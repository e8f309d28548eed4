"""Commands for images on an output that holds caption pairs, and the saved configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from conf.hydra_options import HydraOptions
from conf.pairs import Settings
from conf.schema import Config
from pipeline.cli.main import main
from pipeline.config import saved
from pipeline.config.resolve import checked, compose, read_pairs_settings
from pipeline.planning.plan import make_or_resume
from pipeline.tasks.task import task_of
from stages.storage.store import Store
from tests.pipeline.pairs import small


@pytest.fixture
def written(tmp_path: Path) -> str:
    config = read_pairs_settings(small.settings(tmp_path))
    store = Store(config.out)
    make_or_resume(store, task_of(config))
    saved.write(store, config)
    return config.out


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("tune", ()),
        ("replay", ("0123456789abcdef_00_0",)),
        ("export", ("to={out}/export",)),
        ("refilter", ("filter.clip_sim_dir=0.25", "out2={out}/chosen")),
    ],
)
def test_commands_for_images_refuse_caption_pairs(
    written: str, command: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert main([command, written, *(one.format(out=written) for one in more)]) == 2
    assert f"{written} holds caption pairs, and this command needs images" in capsys.readouterr().err


def test_no_prior_is_learnt_from_caption_pairs(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = [f"out={tmp_path / 'out'}", "captions=miniworld", "sweep=adaptive", f"sweep.prior_from={written}"]
    assert main(given) == 2
    assert f"{written} holds caption pairs" in capsys.readouterr().err


def test_a_run_refuses_the_output_of_the_other_kind(written: str, capsys: pytest.CaptureFixture[str]):
    assert (
        main([f"out={written}", "captions=miniworld", "sweep=adaptive", f"sweep.prior_from={written}"]) == 2
    )
    assert f"{written} holds caption pairs" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["pairs", "grid", "random", "adaptive"])
def test_a_configuration_returns_with_its_present_place(kind: str, tmp_path: Path):
    config: Settings
    if kind == "pairs":
        config = read_pairs_settings(small.settings(tmp_path, "writer.top_p=0.5"))
    else:
        config = checked(compose([f"sweep={kind}", "limit=7"]))
    store = Store(str(tmp_path / "moved"))
    saved.write(store, config)
    config.out = store.url
    assert saved.read(store) == config


@pytest.mark.parametrize("text", ["{", "limit: many", "captions: 3", "colour: blue", "- a"])
def test_a_damaged_configuration_is_one_line(text: str, tmp_path: Path):
    store = Store(str(tmp_path))
    with pytest.raises(ConfigError, match="is not the output of a run"):
        saved.read(store)
    store.write(saved.NAME, text.encode())
    with pytest.raises(ConfigError, match=r"^.*config.yaml is no configuration of a run: [^\n]+$"):
        saved.read(store)


def test_a_saved_run_is_repeated_with_other_settings(tmp_path: Path):
    config = checked(compose(["limit=7", "sweep=random", f"out={tmp_path / 'out'}"]))
    saved.write(Store(config.out), config)
    file = f"config={tmp_path / 'out' / saved.NAME}"
    others, options = saved.take_saved([file, "seed=4", f"out={tmp_path / 'other'}"], HydraOptions())
    again = checked(compose(others, options=options))
    assert (again.seed, again.out) == (4, str(tmp_path / "other"))
    assert replace(again, seed=0, out=config.out) == config
    # Where the output lies now, not where it was made.
    (tmp_path / "out").rename(tmp_path / "moved")
    moved = f"config={tmp_path / 'moved' / saved.NAME}"
    assert checked(compose(*_taken([moved]))).out == str(tmp_path / "moved")


def _taken(settings: list[str]) -> tuple[list[str], type, HydraOptions]:
    others, options = saved.take_saved(settings, HydraOptions())
    return others, Config, options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("- a", "holds no keys with values"),
        ("a: [", "is no configuration of a run"),
        ("defaults: [config]", "--config-dir FOLDER --config-name own"),
        ("writer: {}", "holds the settings of pairforge pairs: pairforge pairs config="),
    ],
)
def test_a_file_that_no_run_wrote_is_one_line(text: str | None, message: str, tmp_path: Path):
    if text is not None:
        (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"^config=[^\n]+$") as error:
        saved.take_saved([f"config={tmp_path / 'own.yaml'}"], HydraOptions())
    assert message in str(error.value)


def test_two_primary_configurations_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        saved.take_saved(["config=a.yaml"], HydraOptions(config_name="b"))
