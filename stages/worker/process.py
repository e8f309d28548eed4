"""Runs a stage in a process of its own: units come in over a socket, results go out."""

from __future__ import annotations

import gc
import os
import re
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from conf.messages import error_line, typed_error_line
from stages.errors import MachineError, StageError
from stages.faults import is_machine_fault
from stages.records import Place

SECONDS_BETWEEN_CHECKS = 1.0
# diffusers and timm import these if they are installed. No stage uses them, and each start would take a second longer.
UNUSED_PACKAGES = ("peft", "wandb")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def load_stage(name: str) -> Any:
    """Returns the class with this dotted name, as the setting ``stage`` gives it.

    Raises StageError if there is no such class, or if its module does not import.
    """
    # With a colon, resolve_name() raises an import error of the module itself.
    try:
        return resolve_name(":".join(name.rsplit(".", 1)))
    except (ImportError, AttributeError) as error:
        raise StageError(f"stage={name}: {error_line(error)}") from error


def check_gpu() -> None:
    """Raises MachineError if torch cannot use the GPU that this process was given."""
    import torch

    if not torch.cuda.is_available():
        given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        raise MachineError(
            f"the worker was given GPU {given} and torch {torch.__version__} sees none: {_why_no_gpu(torch)}"
        )


def describe_place() -> Place:
    """Returns where this process computes. A GPU counts once something is on it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return Place(socket.gethostname())
    # torch's own kind of string would make every process that reads it import torch: seconds, and 400 MB.
    version = str(torch.__version__)
    if not torch.cuda.is_initialized():
        return Place(socket.gethostname(), torch=version)
    return Place(
        socket.gethostname(),
        torch.cuda.get_device_name(),
        os.environ.get("CUDA_VISIBLE_DEVICES", str(torch.cuda.current_device())),
        nvidia_driver(NVIDIA_DRIVER.read_text() if NVIDIA_DRIVER.exists() else ""),
        version,
    )


def nvidia_driver(text: str) -> str:
    """Returns the driver's version from the text of /proc/driver/nvidia/version, "" if it has none."""
    found = re.search(r"Kernel Module.*?\s(\d+\.\d[\d.]*)", text)
    return found[1] if found else ""


def serve(descriptor: int) -> None:
    """Loads a stage, says where it is, then answers every unit with its result until the other end closes.

    The first message that comes in is (whether the stage computes on a GPU, the stage's name, its arguments …).
    Answers are a Place when the stage is loaded, a UnitResult for each unit, an error for the caller to raise
    (StageError, MachineError), or the reason why this process ends, as a text.
    """
    threading.Thread(target=_exit_with, args=(os.getppid(),), daemon=True).start()
    # As if they were not installed.
    sys.modules.update(dict.fromkeys(UNUSED_PACKAGES))  # type: ignore[arg-type]
    # Imports leave little garbage, and a tenth of their time is its collection.
    gc.disable()
    link = Connection(descriptor)
    needs_gpu, name, *arguments = link.recv()
    try:
        if needs_gpu:
            check_gpu()
        stage = load_stage(name)(*arguments)
        place = describe_place()
    # Errors of the project and of libraries: only this process can report them.
    except Exception as error:
        link.send(_to_raise(error))
        return
    gc.enable()
    link.send(place)
    while True:
        try:
            unit = link.recv()
        except EOFError:
            return
        try:
            result = stage(unit)
        # Includes MemoryError: this process exits, and a new one starts with free memory.
        except Exception as error:
            known = isinstance(error, StageError) or is_machine_fault(error)
            link.send(_to_raise(error) if known else f"it raised {typed_error_line(error)}")
            return
        link.send(result)


def _to_raise(error: Exception) -> StageError | MachineError:
    kind = MachineError if is_machine_fault(error) else StageError
    return kind(error_line(error, limit=None))


def _why_no_gpu(torch: Any) -> str:
    try:
        torch.cuda.init()
    # A build without CUDA raises AssertionError, a missing or old driver RuntimeError.
    except Exception as error:
        return error_line(error)
    return "the driver shows no device"


def _exit_with(parent: int) -> None:
    """Ends this process if its parent was killed and could not end it."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_CHECKS)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
