from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main

ROOT = Path(__file__).parents[3]
# As readline calls the function: $2 is the word at the cursor, where "=" ends a word.
NO_SPACE = "compopt -o nospace"
COMPLETE = """
COMP_LINE="$LINE"; COMP_POINT=${#COMP_LINE}
word="${LINE##* }"
compopt() { printf '%s ' compopt "$@"; }
_pairforge_completion pairforge "${word##*=}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", "bash"]) == 0
    return capsys.readouterr().out


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With ``pairforge`` on the path, as it is where the package is installed."""
    program = tmp_path / "pairforge"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline.cli.main "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("pairforge stat", ["status"]),
        (
            "pairforge sampler.gui",
            [*[NO_SPACE] * 2, "sampler.guidance=", "sampler.guidance_interval="],
        ),
        ("pairforge sweep=ra", ["random"]),
        ("pairforge limit=3 shards=p", ["png"]),
        ("pairforge strict=", ["true", "false"]),
        ("pairforge --qu", ["--quiet"]),
        ("pairforge plan edit.met", [NO_SPACE, "edit.method="]),
        ("pairforge plan limit=3 edit.method=sde", ["sdedit"]),
        ("pairforge pairs writer=gra", ["grammar"]),
        ("pairforge refilter out keep=a", ["all-images"]),
        ("pairforge refilter out out", [NO_SPACE, "out2="]),
        ("pairforge export out form", [NO_SPACE, "format="]),
        ("pairforge finetune keep=b", ["best"]),
        ("pairforge completion z", ["zsh"]),
        ("pairforge status ", ["compopt -o dirnames"]),
        ("pairforge captions.path=/da", ["compopt -o default"]),
    ],
)
def test_bash_completes_what_may_follow(script: str, environment, line: str, wanted: list[str]):
    done = subprocess.run(
        ["bash", "-c", script + COMPLETE], env={**environment, "LINE": line}, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert " ".join(done.stdout.split()) == " ".join(wanted)
