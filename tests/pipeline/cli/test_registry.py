from __future__ import annotations

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from conf.compose import compose_config
from conf.pairs import PairsConfig
from conf.setting_keys import default_of, is_group
from pipeline.cli.main import main
from pipeline.cli.registry import COMMAND_LINE, RUN, HydraOption, LazyCommand
from pipeline.export.export_settings import Export
from pipeline.finetune.finetune_settings import Finetune

COMMANDS = [RUN, *COMMAND_LINE.commands.values()]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_a_function_of_its_arguments(command: LazyCommand):
    function = getattr(importlib.import_module(f"pipeline.commands.{command.module}"), command.module)
    names = {
        "hydra" if isinstance(param, HydraOption) else param.name
        for param in command.params
        if param.expose_value
    }
    assert names == set(inspect.signature(function).parameters)
    assert command.docstring == inspect.getdoc(function).partition("\n\nRaises")[0]


@pytest.mark.parametrize("name", COMMAND_LINE.commands)
def test_every_command_answers_help(name: str, capsys: pytest.CaptureFixture[str]):
    for option in ("--help", "-h"):
        assert main([name, option]) == 0
        text = capsys.readouterr().out
        command = COMMAND_LINE.commands[name]
        assert text.startswith(f"Usage: pairforge {name} ")
        assert command.docstring.splitlines()[0] in text
        assert max(map(len, text.splitlines())) <= 100


def test_the_help_has_a_line_for_every_command(capsys: pytest.CaptureFixture[str]):
    main(["--help"])
    text = capsys.readouterr().out
    for name, command in COMMAND_LINE.commands.items():
        metavars = [param.metavar for param in command.params if isinstance(param, click.Argument)]
        assert " ".join(["pairforge", name, *metavars]) in text
        assert command.get_short_help_str() in " ".join(text.split())


def test_help_and_completion_import_no_heavy_library():
    heavy = {"torch", "ray", "diffusers", "transformers", "pyarrow", "numpy", "matplotlib", "datasets"}
    script = f"""
import contextlib, io, sys
from pipeline.cli.main import main
for arguments in (["--help"], ["status", "--help"], ["export", "--help"], ["completion", "bash"]):
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(arguments) == 0
print(*({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("word", "command"), [("statsu", "status"), ("retry-faild", "retry-failed"), ("exprot", "export")]
)
def test_an_unknown_command_gets_the_nearest_name(word: str, command: str, capsys):
    assert main([word, "out"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{word!r}" in line
    assert f"did you mean {command}?" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status"], "missing argument 'OUT'"),
        (["status", "a", "b"], "unexpected extra argument"),
        (["status", "a", "--jso"], "no such option '--jso'"),
        (["status", "limit=3"], "limit=3 is a setting"),
    ],
)
def test_wrong_arguments_are_one_line_with_the_usage(capsys, arguments: list[str], words: str):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pairforge: ")
    assert words in line
    assert "pairforge status OUT" in line


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pairforge {importlib.metadata.version('pairforge')}\n"


def test_a_disk_that_is_full_is_one_line(capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "attention.png").symlink_to("/dev/full")
    monkeypatch.chdir(tmp_path)
    assert main(["attention", "a red circle"]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "No space left on device" in said


@pytest.mark.parametrize("name", COMMAND_LINE.commands)
def test_the_help_gives_valid_examples(name: str):
    examples = re.findall(
        rf"pairforge ({name} .*?)[\")|]*$", COMMAND_LINE.commands[name].docstring, re.MULTILINE
    )
    assert examples
    for example in examples:
        _, *arguments = shlex.split(example.partition(" |")[0])
        with COMMAND_LINE.commands[name].make_context(name, arguments) as context:
            settings = context.params.get("settings", ())
        assert all("=" in setting for setting in settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("export", lambda: OmegaConf.structured(Export)),
        ("finetune", lambda: OmegaConf.structured(Finetune)),
        ("pairs", lambda: compose_config(["captions.path=FILE"], "/nowhere/{}".format, PairsConfig)),
    ],
)
def test_the_help_gives_the_defaults_of_the_settings(name: str, settings: Callable[[], DictConfig]):
    config = settings()
    named = dict(re.findall(r"^([a-z_.]+)=(\S+)  ", COMMAND_LINE.commands[name].docstring, re.MULTILINE))
    assert len(named) >= 4
    for key, value in named.items():
        if is_group(key):
            assert value == default_of(key)
        elif not value.isupper():  # FILE: a value that the user has to give
            default = OmegaConf.create([OmegaConf.select(config, key)])
            assert OmegaConf.to_container(default, enum_to_str=True) == [yaml.safe_load(value)], key
