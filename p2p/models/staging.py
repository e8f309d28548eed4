"""Staging of a model folder: one copy on the local disk of each machine, made by the first process that needs it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import uuid
from pathlib import Path

from conf.messages import error_line
from p2p.errors import ModelError


def stage_folder(folder: Path, staging: Path) -> Path:
    """Returns the copy of ``folder`` below ``staging``; makes it while the other processes of the machine wait.

    The copy's name has a digest of the folder's path, and of the names, sizes and times of its files, so a changed
    model is copied again. A copy appears under its name when it is complete.

    Raises:
        ModelError: the copy cannot be made.
    """
    try:
        staging.mkdir(parents=True, exist_ok=True)
        copy = staging / f"{folder.resolve().name}-{_digest(folder)}"
        with (staging / f".{copy.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not copy.is_dir():
                unfinished = staging / f".{copy.name}-{uuid.uuid4().hex[:8]}"
                try:
                    shutil.copytree(folder, unfinished)
                    unfinished.rename(copy)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"model.staging={staging}: the model cannot be copied: {error_line(error)}"
        ) from error
    return copy


def _digest(folder: Path) -> str:
    digest = hashlib.sha256(os.fsencode(folder.resolve()))
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        facts = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{facts.st_size}\0{facts.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:12]
