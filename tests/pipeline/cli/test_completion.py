from __future__ import annotations

import subprocess

import pytest

from pipeline.cli.completion import words
from pipeline.cli.main import main

ASK = """
COMP_LINE="$LINE"; COMP_POINT=${#COMP_LINE}
# As readline parts a line: at spaces, and at = as words of their own.
read -ra COMP_WORDS <<< "${LINE//=/ = }"
if [[ "$LINE" == *" " || "$LINE" == *= ]]; then COMP_WORDS+=(""); fi
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_pairforge
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("pairforge stat", ["status"]),
        ("pairforge sampler.gui", ["sampler.guidance=", "sampler.guidance_interval="]),
        ("pairforge sweep=ra", ["random"]),
        ("pairforge limit=3 shards=p", ["png"]),
        ("pairforge --qu", ["--quiet"]),
    ],
)
def test_bash_completes_commands_settings_and_options(script: str, line: str, wanted: list[str]):
    asked = subprocess.run(
        ["bash", "-c", script + ASK],
        env={"LINE": line, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert asked.stderr == ""
    assert asked.stdout.split() == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_word_is_in_every_shell_s_script(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == 0
    assert " ".join(words()) in capsys.readouterr().out


def test_a_shell_that_is_none_is_told_the_shells(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "tcsh"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err
