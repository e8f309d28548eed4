"""A stage without a model on a machine that fails: which one, the machine's environment says."""

from __future__ import annotations

import os
import time
from pathlib import Path

from conf.schema import Config
from stages.records import Unit, UnitResult
from stages.storage.evictions import read_evictions
from stages.storage.store import Store
from tests.stages.worker.poison_stage import Poisonable

NO_MODEL = "FAULTY_NO_MODEL"
"""Variable of a machine without the model."""
WELL_UNITS = 2
SECONDS_TO_EVICT = 60


class Faulty(Poisonable):
    """Fails on every unit after the second on one worker, the first that asks: its GPU is sick."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        super().__init__(config, model_fingerprint)
        if os.environ.get(NO_MODEL):
            raise ValueError("model.path=/models/sdxl is not there")
        self.units = 0

    def __call__(self, unit: Unit) -> UnitResult:
        sick = Path(self.config.captions.path).with_name("sick")
        if sick.exists():
            if not sick.read_text():
                sick.write_text(f"{os.getppid()} {WELL_UNITS}")
            owner, well = sick.read_text().split()
            if int(owner) == os.getppid():
                if well == "0":
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                sick.write_text(f"{owner} {int(well) - 1}")
            else:
                self._wait_for_the_eviction()
        return super().__call__(unit)

    def _wait_for_the_eviction(self) -> None:
        """Leaves the units to the sick GPU until it is evicted, so that the other workers are never too fast."""
        store, ends = Store(self.config.out), time.monotonic() + SECONDS_TO_EVICT
        while not read_evictions(store) and time.monotonic() < ends:
            time.sleep(0.1)
