"""Every Python process of a run under fire imports this at its start: it dies at a boundary that a token names.

A token is a file "BOUNDARY NUMBER VICTIM" in the folder that PAIRFORGE_FIRE names: the process that reaches that
boundary of that unit or shard kills VICTIM (self, or the driver, whose process id the file "driver" holds), once:
whoever renames the token has it. Python's audit events tell of every open, link, rename and remove before it happens,
so the program under fire needs no code for it.
"""

from __future__ import annotations

import os
import re
import signal
import sys

FOLDER = os.environ.get("PAIRFORGE_FIRE", "")

# A boundary is the event, and the file of it, that comes next when it is reached.
BOUNDARIES = (
    ("before-part", "open", re.compile(r"/run/parts/\.(\d{8})-\w+\.samples\.tar\.\w+\.tmp$")),
    ("after-part", "open", re.compile(r"/run/commits/\.(\d{8})\.json\.\w+\.tmp$")),
    ("before-commit", "os.link", re.compile(r"/run/commits/(\d{8})\.json$")),
    ("after-commit", "os.remove", re.compile(r"/run/commits/\.(\d{8})\.json\.\w+\.tmp$")),
    ("before-shard", "open", re.compile(r"/data/\.train-(\d{6})\.tar\.\w+\.tmp$")),
    ("within-shard", "os.rename", re.compile(r"/data/train-(\d{6})\.tar$")),
    ("after-shard", "os.remove", re.compile(r"/data/\.train-(\d{6})\.tar\.\w+\.tmp$")),
)
EVENTS = frozenset(event for _, event, _ in BOUNDARIES)


def _fire(event: str, arguments: tuple[object, ...]) -> None:
    if event not in EVENTS:
        return
    path = arguments[1] if event in ("os.link", "os.rename") else arguments[0]
    if not isinstance(path, str | os.PathLike):
        return
    name = os.fspath(path)
    for boundary, at, pattern in BOUNDARIES:
        found = pattern.search(name) if at == event and isinstance(name, str) else None
        if found:
            _die(f"{boundary} {int(found[1])}")


def _die(token: str) -> None:
    for victim in ("self", "driver"):
        try:
            os.rename(f"{FOLDER}/{token} {victim}", f"{FOLDER}/fired {token} {victim}")
        except FileNotFoundError:
            continue
        if victim == "driver":
            with open(f"{FOLDER}/driver") as stream:
                os.kill(int(stream.read()), signal.SIGKILL)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


if FOLDER:
    sys.addaudithook(_fire)
