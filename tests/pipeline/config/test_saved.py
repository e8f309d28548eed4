"""Commands for images on an output that holds caption pairs, and the saved configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.compose import ConfigError
from conf.pairs import Settings
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
