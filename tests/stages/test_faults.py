from __future__ import annotations

import errno

import pytest
import torch

from stages.errors import MachineError
from stages.faults import is_machine_fault


def raised_from(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception as error:
            raise ValueError("the image cannot be scored") from error
    except ValueError as error:
        return error


OF_MACHINE = [
    MachineError("no GPU"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"),
    RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("The NVIDIA driver on your system is too old (found version 11040)"),
    RuntimeError("HIP error: invalid device function"),
    OSError(errno.ESTALE, "Stale file handle"),
    OSError(errno.EIO, "Input/output error"),
]
OF_PAIR = [
    ValueError("the caption has no word"),
    RuntimeError("The size of tensor a (4) must match the size of tensor b (8)"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "image.png"),
    # A process that runs out of memory ends; its pairs are tried alone.
    MemoryError(),
    KeyError("CUDA error"),
]


@pytest.mark.parametrize("error", OF_MACHINE)
def test_gpus_and_lost_files_are_the_machines_fault(error: Exception) -> None:
    assert is_machine_fault(error)
    assert is_machine_fault(raised_from(error))


@pytest.mark.parametrize("error", OF_PAIR)
def test_other_errors_are_the_pairs_fault(error: Exception) -> None:
    assert not is_machine_fault(error)
    assert not is_machine_fault(raised_from(error))


def test_an_error_that_was_handled_does_not_count() -> None:
    """A batch that did not fit the memory is halved. What goes wrong after that has another reason."""

    def make() -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except torch.OutOfMemoryError:
            raise ValueError("the caption has no word")  # noqa: B904

    with pytest.raises(ValueError, match="no word") as caught:
        make()
    assert not is_machine_fault(caught.value)
