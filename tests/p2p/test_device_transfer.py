from __future__ import annotations

from pathlib import Path

import pytest
import torch

import p2p
from p2p.device_transfer import to_cpu, to_device, wait_for
from p2p.sweep.request import SweepRequest

CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


@pytest.mark.parametrize(
    ("values", "dtype"), [([2, 0, 1], torch.int64), ([0.5, 2.0], torch.float32), ([], torch.int64)]
)
def test_numbers_become_tensors_of_one_kind(values: list[float], dtype: torch.dtype) -> None:
    moved = to_device(values, CPU)
    assert (moved.dtype, moved.tolist()) == (dtype, values)


def test_a_tensor_stays_what_it_is() -> None:
    tensor = torch.arange(6, dtype=torch.float16).reshape(2, 3).t()
    assert torch.equal(to_cpu(to_device(tensor, CPU)), tensor)


@GPU
def test_a_tensor_comes_back_from_a_gpu_as_it_went() -> None:
    device = torch.device("cuda")
    tensor = torch.randn(1000, 1000)
    back = to_cpu(to_device(tensor, device))
    wait_for(device)
    assert back.is_pinned()
    assert torch.equal(back, tensor)


@GPU
def test_no_step_of_a_sweep_makes_the_program_wait(sd1_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = p2p.load(sd1_folder, device="cuda")
    requests = [
        SweepRequest(
            "a red ball", "a blue ball", taus=(0.3, 0.7), seed=seed, steps=4, sampler="euler_ancestral"
        )
        for seed in range(2)
    ]
    editor.sweep_many(requests)

    def synchronised(*arguments: object) -> object:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return advance(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    advance = p2p.sweep.executor.advance
    monkeypatch.setattr(p2p.sweep.executor, "advance", synchronised)
    editor.sweep_many(requests)
