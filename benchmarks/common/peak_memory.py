"""Measures peak memory: of a call above what was held before it, and of this process."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")
_CLEAR = Path("/proc/self/clear_refs")
MIB = 2**20


def with_peak(call: Callable[[], _Result]) -> tuple[_Result, float]:
    """The call's result, and the MiB that it held at most beyond those held before it.

    With CUDA the allocator's count, otherwise the process's by Linux's own count.
    """
    import torch  # a process that plans runs without it

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        return result, (torch.cuda.max_memory_allocated() - before) / MIB
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    _CLEAR.write_text("5")  # resets the peak
    resident = _mebibytes("VmRSS")
    result = call()
    return result, process_peak() - resident


def process_peak(pid: int | str = "self") -> float:
    """MiB that a process held at most, 0 if it has ended. (getrusage counts the parent's peak as well.)"""
    return _mebibytes("VmHWM", pid)


def _mebibytes(field: str, pid: int | str = "self") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0.0)
