"""Between the program and its device without the one waiting for the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(values: Tensor | Sequence[int] | Sequence[float], device: torch.device) -> Tensor:
    """``values`` on the device: ints as int64, floats as fp32, a tensor of the CPU as what it is.

    To a GPU it goes by page-locked memory, so that the program goes on at once: what is computed of it there comes
    after it in the device's own order.
    """
    if not isinstance(values, Tensor):
        kind = torch.float32 if any(isinstance(value, float) for value in values) else torch.int64
        values = torch.tensor(values, dtype=kind)
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def to_cpu(tensor: Tensor) -> Tensor:
    """``tensor`` on the CPU, into page-locked memory from a GPU: to be read only after ``wait_for`` its device."""
    return tensor.to("cpu", non_blocking=tensor.is_cuda)


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
