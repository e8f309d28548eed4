"""Compilation of a denoiser: whether a machine can compile, one process of it at a time, and eager mode if it fails."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from conf.messages import error_line
from p2p.attention.routing import Routing
from p2p.families.family import Conditioning, Family

logger = logging.getLogger(__name__)

MODES = {
    "none": "",
    "default": "default",
    "reduce-overhead": "reduce-overhead",
    "max-autotune": "max-autotune-no-cudagraphs",
}
"""The mode of torch.compile for each word."""
FIRST_CALLS = 3
"""Calls of a graph that may fail for a reason of the compiler: CUDA graphs are recorded at the second call."""
# Processes that compile kernels; as many as cores by default, in each of eight workers of a node.
MAX_COMPILE_THREADS = 8


def why_not_compiled(device: torch.device) -> str:
    """Returns the reason why ``compile="auto"`` does not compile for a device, or ""."""
    if device.type != "cuda":
        return "only a GPU repays it"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed"
    if torch.cuda.get_device_capability(device) < (7, 0):
        return "Triton needs a GPU of compute capability 7.0 or more"
    if not any(map(shutil.which, (os.environ.get("CC") or "gcc", "clang"))):
        return "there is no C compiler (gcc or clang)"
    return ""


def choose_mode(compile: str, device: torch.device) -> str:
    """Replaces "auto" by "default" or "none"; says in one line if a GPU goes without."""
    if compile != "auto":
        return compile
    reason = why_not_compiled(device)
    if reason and device.type == "cuda":
        logger.warning("the denoiser is not compiled: %s", reason)
    return "none" if reason else "default"


def compile_denoiser(family: Family, mode: str) -> None:
    """Compiles a family's denoiser in place, at its first calls."""
    # Imported here: the compiler takes a second to import, which an eager denoiser does not need.
    from torch._inductor import config

    if "TORCHINDUCTOR_COMPILE_THREADS" not in os.environ:
        config.compile_threads = min(MAX_COMPILE_THREADS, os.cpu_count() or 1)
    # Lengths of the routing vary, and a CUDA graph has fixed ones: only batches without injection get one.
    config.triton.cudagraph_skip_dynamic_graphs = True
    family.network.compile(fullgraph=True, mode=MODES[mode])
    # mypy takes the assignment of a method for a mistake; here it is the aim.
    family.denoise = CompiledDenoiser(family, replays=mode == "reduce-overhead")  # type: ignore[method-assign]


class CompiledDenoiser:
    """Takes the place of ``family.denoise``. A call that makes a graph waits while another process of the machine does.

    The first process fills the compiler's cache, and the others read it. If a graph cannot be made, the denoiser is
    eager from then on.
    """

    def __init__(self, family: Family, replays: bool = False) -> None:
        """``replays``: CUDA graphs are replayed, which write every result into the same memory."""
        self._family, self._denoise, self._replays = family, family.denoise, replays
        self._calls: Counter[tuple[object, ...]] = Counter()

    def __call__(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        graph: tuple[object, ...] = (len(latents), routing is None)
        if routing is not None:
            graph += (routing.column_sums is not None, len(routing.larger))
        calls = self._calls[graph]
        self._calls[graph] += 1
        if self._replays:
            torch.compiler.cudagraph_mark_step_begin()
        if calls >= FIRST_CALLS:
            output = self._denoise(latents, timesteps, conditioning, routing)
        else:
            with nullcontext() if calls else _lock():
                output = self._first_call(latents, timesteps, conditioning, routing)
        return output.clone() if self._replays else output

    def _first_call(
        self, latents: Tensor, timesteps: Tensor, conditioning: Conditioning, routing: Routing
    ) -> Tensor:
        try:
            return self._denoise(latents, timesteps, conditioning, routing)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever it is: if it is no fault of the compiler, the eager call raises it again.
            network = self._family.network
            network._compiled_call_impl = None  # type: ignore[assignment]
            output = self._denoise(latents, timesteps, conditioning, routing)
            logger.warning("the denoiser runs without compilation: %s", error_line(error))
            return output


@contextmanager
def _lock() -> Iterator[None]:
    """Holds the only lock of the compiler's cache; a folder that takes no files has none."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    folder = Path(cache_dir())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "pairforge.lock").open("a")
    except OSError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
