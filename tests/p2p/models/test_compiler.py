"""Compilation where it is possible, and eager sweeps where it is not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

import p2p
from p2p.models import compiler

REQUEST = p2p.SweepRequest(
    "a red ball on grass", "a blue hexagon on grass", (0.5,), steps=3, guidance_scale=3.0
)
GPU = torch.device("cuda")


@pytest.fixture
def faked_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What a new GPU with all its tools answers."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(compiler.shutil, "which", lambda name: f"/usr/bin/{name}")
    return monkeypatch


def test_auto_compiles_on_a_gpu_alone(faked_gpu: pytest.MonkeyPatch) -> None:
    assert compiler.choose_mode("auto", GPU) == "default"
    assert compiler.choose_mode("auto", torch.device("cpu")) == "none"
    assert compiler.choose_mode("max-autotune", torch.device("cpu")) == "max-autotune"


@pytest.mark.parametrize(
    ("lacks", "line"),
    [
        ("triton", "the denoiser is not compiled: Triton is not installed"),
        ("compiler", "the denoiser is not compiled: there is no C compiler (gcc or clang)"),
        ("age", "the denoiser is not compiled: Triton needs a GPU of compute capability 7.0 or more"),
    ],
)
def test_auto_names_what_a_gpu_lacks(
    faked_gpu: pytest.MonkeyPatch, lacks: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    if lacks == "triton":
        faked_gpu.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    if lacks == "compiler":
        faked_gpu.setattr(compiler.shutil, "which", lambda name: None)
    if lacks == "age":
        faked_gpu.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    assert compiler.choose_mode("auto", GPU) == "none"
    assert [record.getMessage() for record in caplog.records] == [line]


def test_a_compiler_that_fails_leaves_the_denoiser_eager(
    sd1_folder: Path,
    sd1_editor: p2p.Editor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """The compiler is replaced by one that fails at the first call, as a missing kernel or linker does."""

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no kernel\nfor this card")

    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module, **_: setattr(module, "_compiled_call_impl", broken)
    )
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    editor = p2p.load(sd1_folder, device="cpu", compile="default")
    with caplog.at_level(logging.WARNING, "p2p.models.compiler"):
        sweep, again = (editor.sweep_many([REQUEST], 8)[0] for _ in range(2))
    (expected,) = sd1_editor.sweep_many([REQUEST], 8)
    assert torch.allclose(sweep.edit_latents, expected.edit_latents, atol=1e-4)
    assert torch.equal(sweep.edit_latents, again.edit_latents)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("the denoiser runs without compilation: ")
    assert "no kernel for this card" in line
    assert (tmp_path / "pairforge.lock").exists(), "one process of a machine compiles at a time"


def test_a_fault_that_is_not_the_compiler_s_is_raised(
    sd1_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = p2p.load(sd1_folder, device="cpu", compile="default")

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(editor.family.network, "forward", broken)
    torch._dynamo.reset()
    with pytest.raises(RuntimeError, match="illegal memory access"):
        editor.sweep_many([REQUEST], 8)
