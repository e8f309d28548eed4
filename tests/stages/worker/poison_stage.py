"""A stage without a model: it draws for every pair one sample, and does to its process what a pair's caption says."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from pathlib import Path

from conf.schema import Config
from stages.records import Preview, Sample, Unit, UnitResult
from tests.stages.unit_parts import candidate, picture, pixels

SEGFAULT, KILLED, HANG, MEMORY, ONCE = "segfault", "killed", "hang", "takes all memory", "die once, leaving "
WHILE = "die while there is "
CUDA_WHILE = "a GPU fails while there is "
SLEEP = "takes seconds: "
MEMORY_LIMIT = 4 * 2**30


class Poisonable:
    def __init__(self, config: Config, model_fingerprint: str) -> None:
        if model_fingerprint == "no models":
            raise ValueError("model.path=/no/model is not there")
        self.config = config

    def __call__(self, unit: Unit) -> UnitResult:
        for pair in unit.pairs:
            _suffer(pair.input)
        candidates = tuple(candidate(pair, 0, "") for pair in unit.pairs)
        samples = tuple(
            Sample(
                key=f"{pair.id}-000",
                input_image=pixels(int(pair.id[:8], 16)),
                edited_image=pixels(int(pair.id[8:], 16)),
                edit_prompt=pair.edit,
                metadata={"pair_id": pair.id, "seed": 1000},
            )
            for pair in unit.pairs
        )
        previews = tuple(
            Preview(p, picture(1), (picture(2),), (c,)) for p, c in zip(unit.pairs, candidates, strict=True)
        )
        return UnitResult(unit, samples, candidates, (), previews, len(unit.pairs), {"sweep": 0.001})


def _suffer(caption: str) -> None:
    if caption == SEGFAULT:
        ctypes.string_at(0)
    if caption == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    if caption == HANG:
        time.sleep(3600)
    if caption == MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        held = []
        while True:
            held.append(bytes(2**28))
    if caption.startswith(SLEEP):
        time.sleep(float(caption.removeprefix(SLEEP)))
    if caption.startswith(CUDA_WHILE) and Path(caption.removeprefix(CUDA_WHILE)).exists():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if caption.startswith(WHILE) and Path(caption.removeprefix(WHILE)).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if caption.startswith(ONCE):
        mark = Path(caption.removeprefix(ONCE))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
