"""What is for images, asked of an output that holds caption pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.config import saved
from pipeline.config.resolve import read_pairs_settings
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
def test_what_is_for_images_says_that_these_are_none(
    written: str, command: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert main([command, written, *(one.format(out=written) for one in more)]) == 2
    assert f"{written} holds caption pairs, and this command needs images" in capsys.readouterr().err


def test_a_prior_is_not_learnt_from_captions(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    given = [f"out={tmp_path / 'out'}", "captions=miniworld", "sweep=adaptive", f"sweep.prior_from={written}"]
    assert main(given) == 2
    assert f"{written} holds caption pairs" in capsys.readouterr().err


def test_a_run_is_refused_the_output_of_another_kind(written: str, capsys: pytest.CaptureFixture[str]):
    assert (
        main([f"out={written}", "captions=miniworld", "sweep=adaptive", f"sweep.prior_from={written}"]) == 2
    )
    assert f"{written} holds caption pairs" in capsys.readouterr().err
