from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.cli.registry import COMMANDS


def test_every_command_has_a_main_and_a_line_in_the_help(capsys: pytest.CaptureFixture[str]):
    for command in COMMANDS.values():
        assert callable(importlib.import_module(command.module).main)
    main(["--help"])
    text = capsys.readouterr().out
    for command in COMMANDS.values():
        assert f"pairforge {command.usage}" in text


def test_a_word_that_is_no_command_is_told_the_commands(capsys: pytest.CaptureFixture[str]):
    assert main(["statsu", "out"]) == 2
    said = capsys.readouterr().err
    assert "'statsu'" in said
    assert "status" in said


@pytest.mark.parametrize("arguments", [["status"], ["status", "a", "b"], ["status", "--help"]])
def test_a_command_s_wrong_arguments_get_its_usage(capsys, arguments: list[str]):
    assert main(arguments) == 2
    assert "pairforge status OUT" in capsys.readouterr().err


def test_a_disk_that_is_full_is_one_line(capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "attention.png").symlink_to("/dev/full")
    monkeypatch.chdir(tmp_path)
    assert main(["attention", "a red circle"]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "No space left on device" in said
