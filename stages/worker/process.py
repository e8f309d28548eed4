"""The process in which a stage runs apart: units come in over a socket, results go out."""

from __future__ import annotations

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from conf.messages import error_line, typed_error_line
from stages.errors import StageError
from stages.worker import load_stage

SECONDS_BETWEEN_LOOKS = 1.0
# diffusers imports it wherever it is installed, a second of every start, for adapters that no stage loads.
UNUSED = "peft"


def serve(descriptor: int) -> None:
    """Set the stage up, then answer every unit with its result until the other end closes."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    hide_unused()
    link = Connection(descriptor)
    name, *arguments = link.recv()
    try:
        make = load_stage.find(name)(*arguments)
    # The project's errors, and a library's: either is told in words, and nobody else can.
    except Exception as error:
        link.send(error_line(error, limit=None))
        return
    link.send("")
    while True:
        try:
            unit = link.recv()
        except EOFError:
            return
        try:
            made = make(unit)
        except StageError as error:
            link.send(StageError(error_line(error, limit=None)))
            return
        # Memory that runs out among them: the reason is told, and another process goes on without what this one holds.
        except Exception as error:
            link.send(f"it raised {typed_error_line(error)}")
            return
        link.send(made)


def hide_unused() -> None:
    """Let what a stage has no use for not be found."""
    sys.modules[UNUSED] = None  # type: ignore[assignment]


def _end_with(parent: int) -> None:
    """Whoever started this may be killed without a word: nothing must go on for nobody."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
