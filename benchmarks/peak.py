"""Peak memory of a call above what was held before it: a GPU's allocator, or the process by Linux's own count."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

_Result = TypeVar("_Result")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20


def with_peak(call: Callable[[], _Result]) -> tuple[_Result, float]:
    """The call's result, and the MiB that it held at most beyond those of before."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        return result, (torch.cuda.max_memory_allocated() - before) / MIB
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    _CLEAR.write_text("5")  # the peak counts anew from here
    before = _kib("VmRSS")
    result = call()
    return result, (_kib("VmHWM") - before) / 1024


def _kib(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])
