from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main

SHELLCHECK = Path(sys.executable).with_name("shellcheck")


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script_that_asks_pairforge(shell: str, capsys, monkeypatch: pytest.MonkeyPatch):
    assert f"_PAIRFORGE_COMPLETE={shell}_complete" in script(shell, capsys)
    monkeypatch.setenv("_PAIRFORGE_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "pairforge sampler=eul")
    monkeypatch.setenv("COMP_CWORD", "sampler=eul" if shell == "fish" else "1")
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "sampler=euler" in out
    assert "sampler=euler_ancestral" in out


def test_the_script_for_bash_defines_the_completion_of_pairforge(capsys):
    text = script("bash", capsys)
    subprocess.run([SHELLCHECK, "-"], input=text, text=True, check=True)
    done = subprocess.run(
        ["bash", "-c", f"{text}\ncomplete -p pairforge"], text=True, capture_output=True, check=True
    )
    assert done.stdout == "complete -o nosort -F _pairforge_completion pairforge\n"
    assert done.stderr == ""


def test_an_unknown_shell_gets_the_names_of_the_shells(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "tcsh"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for shell in ("bash", "zsh", "fish"):
        assert shell in line
