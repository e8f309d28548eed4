"""Outputs of runs without a generator: planned and committed by the real parts, from results made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from conf.schema import ImageFormat
from pipeline.config import saved
from pipeline.planning.plan import MANIFEST, Plan
from pipeline.planning.run_fingerprint import FORMAT
from stages import write
from stages.storage import plan_files
from stages.storage.store import Store
from tests import runs
from tests.stages.unit_results import unit_result


def planned(folder: Path | str, count: int) -> tuple[Store, Plan]:
    """A plan of ``count`` units of one pair."""
    store = Store(str(folder))
    _, files = plan_files.write_units(store, (unit_result(index, 0).unit for index in range(count)))
    plan = Plan(count, count, 0, {"format": FORMAT, "model.fingerprint": "f"}, tuple(files))
    composed = runs.config(Path("/no/model"), Path("/no/clip"), f"out={folder}", "shards.samples=2")
    saved.write(store, composed)
    store.write_record(MANIFEST, asdict(plan))
    return store, plan


def commit(store: Store, kept: Sequence[int], failed: int = 0) -> None:
    """Commit units 0, 1, …, each with its number of samples kept."""
    for index, samples in enumerate(kept):
        result = unit_result(index, samples, failed=failed)
        write.write_unit(store, write.encode_part(result, ImageFormat.png), write.summarise(result))
