"""Decides whose fault an error is: the machine's, or that of the caption pair that was being made."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator

from stages.errors import MachineError

CUDA_TEXT = re.compile(
    r"CUDA (driver |runtime )?error|(CUDA|MPS backend) out of memory|CUBLAS_STATUS|cuDNN error|CUDNN_STATUS|"
    r"CUSOLVER_STATUS|cuFFT error|NCCL|HIP error|no kernel image is available|NVIDIA driver|device-side assert",
    re.IGNORECASE,
)
"""Texts of errors that torch raises as a plain RuntimeError. After most of them the process can use its GPU no more."""

LOST_FILES = frozenset(
    {errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN, errno.ETIMEDOUT, errno.EREMOTEIO}
)
"""Error numbers of a file system or a disk that is gone."""


def is_machine_fault(error: BaseException) -> bool:
    """Return True if the machine raised this error or one that it was raised from.

    These are errors of CUDA and its libraries, GPU memory that is exhausted even by the smallest batch, and a lost file
    system. Every other error counts as the fault of the pair.
    """
    return any(_is_of_machine(cause) for cause in _chain(error))


def _is_of_machine(error: BaseException) -> bool:
    if isinstance(error, MachineError):
        return True
    if isinstance(error, OSError):
        return error.errno in LOST_FILES
    return isinstance(error, _torch_errors()) or (
        isinstance(error, RuntimeError) and CUDA_TEXT.search(str(error)) is not None
    )


def _torch_errors() -> tuple[type[BaseException], ...]:
    # An error of torch can only come from a process that has imported it, and not every stage does.
    torch = sys.modules.get("torch")
    return () if torch is None else (torch.OutOfMemoryError, torch.AcceleratorError)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
