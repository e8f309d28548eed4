"""Runs a stage in a process of its own: units come in over a socket, results go out."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from typing import Any

from conf.messages import error_line, typed_error_line
from stages.errors import StageError

SECONDS_BETWEEN_CHECKS = 1.0
# diffusers and timm import these if they are installed. No stage uses them, and each start would take a second longer.
UNUSED_PACKAGES = ("peft", "wandb")


def load_stage(name: str) -> Any:
    """Returns the class with this dotted name, as the setting ``stage`` gives it.

    Raises StageError if there is no such class, or if its module does not import.
    """
    # With a colon, resolve_name() raises an import error of the module itself.
    try:
        return resolve_name(":".join(name.rsplit(".", 1)))
    except (ImportError, AttributeError) as error:
        raise StageError(f"stage={name}: {error_line(error)}") from error


def serve(descriptor: int) -> None:
    """Loads a stage, then answers every unit with its result until the other end closes."""
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    # As if they were not installed.
    sys.modules.update(dict.fromkeys(UNUSED_PACKAGES))  # type: ignore[arg-type]
    # Imports leave little garbage, and a tenth of their time is its collection.
    gc.disable()
    link = Connection(descriptor)
    name, *arguments = link.recv()
    try:
        stage = load_stage(name)(*arguments)
    # Errors of the project and of libraries: only this process can report them.
    except Exception as error:
        link.send(error_line(error, limit=None))
        return
    gc.enable()
    link.send("")
    while True:
        try:
            unit = link.recv()
        except EOFError:
            return
        try:
            result = stage(unit)
        except StageError as error:
            link.send(StageError(error_line(error, limit=None)))
            return
        # Includes MemoryError: this process exits, and a new one starts with free memory.
        except Exception as error:
            link.send(f"it raised {typed_error_line(error)}")
            return
        link.send(result)


def _exit_with(parent: int) -> None:
    """Ends this process if its parent was killed and could not end it."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_CHECKS)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
