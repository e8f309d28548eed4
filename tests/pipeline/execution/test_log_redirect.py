"""Redirection of the descriptors of a process, in a process of its own: pytest replaces the streams of this one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
START = """
import os, subprocess, sys, warnings
from pathlib import Path
from pipeline.execution.log_redirect import redirect_output

def write_everywhere(text):
    print(f"{text} print")
    print(f"{text} error", file=sys.stderr)
    os.write(1, f"{text} descriptor\\n".encode())
    os.write(2, f"{text} descriptor error\\n".encode())
    subprocess.run(["sh", "-c", f"echo {text} process; echo {text} process error >&2"], check=True)

log = Path(sys.argv[1])
"""
KINDS = ("print", "descriptor", "process")


def run(log: Path, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START + script, str(log)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_output_goes_to_the_log_and_then_to_the_terminal(tmp_path: Path):
    log = tmp_path / "run/ray.log"
    done = run(
        log,
        "write_everywhere('before')\n"
        "with redirect_output(log) as terminal:\n"
        "    write_everywhere('inside')\n"
        "    terminal.write('progress\\n')\n"
        "write_everywhere('after')\n",
    )
    inside = [
        *(f"inside {kind}" for kind in KINDS),
        *(f"inside {kind} error" for kind in ("descriptor", "process")),
    ]
    assert sorted(log.read_text().splitlines()) == sorted([*inside, "inside error"])
    outside = [f"{when} {kind}" for when in ("before", "after") for kind in KINDS]
    assert sorted(done.stdout.splitlines()) == sorted(outside)
    errors = [
        f"{when}{kind} error" for when in ("before", "after") for kind in ("", " descriptor", " process")
    ]
    assert sorted(done.stderr.splitlines()) == sorted([*errors, "progress"])


def test_a_log_is_appended_to_and_survives_an_error(tmp_path: Path):
    log = tmp_path / "ray.log"
    log.write_text("an earlier run\n")
    done = run(
        log,
        "try:\n"
        "    with redirect_output(log):\n"
        "        print('this run')\n"
        "        raise ValueError('fault')\n"
        "except ValueError as error:\n"
        "    print(error)\n",
    )
    assert log.read_text() == "an earlier run\nthis run\n"
    assert (done.stdout, done.stderr) == ("fault\n", "")


def test_warnings_are_silent_and_no_descriptor_is_left(tmp_path: Path):
    log = tmp_path / "ray.log"
    done = run(
        log,
        "before = len(os.listdir('/dev/fd'))\n"
        "with redirect_output(log):\n"
        "    warnings.warn('chatter')\n"
        "print(len(os.listdir('/dev/fd')) - before)\n",
    )
    assert log.read_text() == ""
    assert (done.stdout, done.stderr) == ("0\n", "")
