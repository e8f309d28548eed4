from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
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


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("pairforge stat", ["status"]),
        ("pairforge sampler.gui", ["sampler.guidance=", "sampler.guidance_interval="]),
        ("pairforge limit=3 shards=p", ["shards=png"]),
        ("pairforge refilter out keep=a", ["keep=all-images"]),
        ("pairforge status some", ["some folder/"]),
        ("pairforge captions.path=pa", ["captions.path=pairs.jsonl"]),
    ],
)
def test_fish_completes_what_may_follow(
    tmp_path: Path, capsys, environment: dict[str, str], line: str, wanted: list[str]
):
    assert main(["completion", "fish"]) == 0
    _make_files(tmp_path)
    script = f"{capsys.readouterr().out}\ncomplete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=tmp_path / "here",
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert [found.partition("\t")[0] for found in done.stdout.splitlines()] == wanted


ZSH = """
autoload -Uz compinit; compinit -u -D
source $SCRIPT
bindkey '^I' complete-word
show() { print -r -- "$BUFFER|" > $SHOWN }
zle -N show; bindkey '^X' show
PS1=ready
"""


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("pairforge stat", "pairforge status "),
        ("pairforge sampler.st", "pairforge sampler.steps="),
        ("pairforge limit=3 shards=p", "pairforge limit=3 shards=png "),
        ("pairforge refilter out keep=a", "pairforge refilter out keep=all-images "),
        ("pairforge status some", "pairforge status some\\ folder/"),
        ("pairforge captions.path=pa", "pairforge captions.path=pairs.jsonl "),
    ],
)
def test_zsh_completes_what_may_follow(
    tmp_path: Path, capsys, environment: dict[str, str], line: str, wanted: str
):
    assert main(["completion", "zsh"]) == 0
    _make_files(tmp_path)
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / ".zshrc").write_text(ZSH)
    variables = {
        "ZDOTDIR": str(tmp_path),
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "SCRIPT": str(tmp_path / "script"),
        "SHOWN": str(tmp_path / "shown"),
    }
    terminal, zsh_end = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-i"],
        cwd=tmp_path / "here",
        env={**environment, **variables},
        stdin=zsh_end,
        stdout=zsh_end,
        stderr=zsh_end,
        start_new_session=True,
    ) as zsh:
        try:
            printed = b""
            while b"ready" not in printed:
                printed += os.read(terminal, 4096)
            os.write(terminal, f"{line}\t\x18".encode())
            while not (tmp_path / "shown").exists() or not (tmp_path / "shown").read_text():
                time.sleep(0.05)
        finally:
            zsh.kill()
            os.close(zsh_end)
            os.close(terminal)
    assert (tmp_path / "shown").read_text() == f"{wanted}|\n"


def _make_files(folder: Path) -> None:
    (folder / "here/some folder").mkdir(parents=True)
    (folder / "here/pairs.jsonl").touch()
