"""Transfer between CPU and GPU by page-locked memory, so that neither waits for the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def to_device(values: Tensor | Sequence[int] | Sequence[float], device: torch.device) -> Tensor:
    """Copies values to the device: ints as int64, floats as fp32, a CPU tensor with its own dtype.

    A copy to a GPU is asynchronous; work that is queued there later waits for it.
    """
    if not isinstance(values, Tensor):
        dtype = torch.float32 if any(isinstance(value, float) for value in values) else torch.int64
        values = torch.tensor(values, dtype=dtype)
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def to_cpu(tensor: Tensor) -> Tensor:
    """Copies a tensor to the CPU. A copy from a GPU is asynchronous: call ``wait_for`` before you read it."""
    return tensor.to("cpu", non_blocking=tensor.is_cuda)


def wait_for(device: torch.device) -> None:
    """Waits until the device has finished all work of the current stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


def wait_for_queued(device: torch.device) -> Callable[[], None]:
    """Returns a function, for any thread, that waits for the work that the current stream has been given so far."""
    if device.type != "cuda":
        return lambda: None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event.synchronize


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Gives the work of this thread on a GPU a stream of its own."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.stream(torch.cuda.Stream(device)):
        yield
