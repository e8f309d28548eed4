"""Files held by their writer for as long as it lives: what a killed writer left is told from what is being written."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


def hold(stream: IO[bytes], path: Path) -> bool:
    """Lock the open file until it is closed. False if ``path`` was swept before it could be: make another.

    On a file system without locks nothing is held, and nothing swept either.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError:
        return True
    try:
        return os.stat(path).st_ino == os.fstat(stream.fileno()).st_ino
    except FileNotFoundError:
        return False


def sweep(path: Path) -> None:
    """Remove ``path``, unless somebody holds it or there are no locks."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except OSError:
        return
