"""Runs ``captions=from_captions``: a run that writes caption pairs, then a run that makes their images."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conf.pairs import PairsConfig
from conf.schema import Config
from pipeline.errors import FAILED_PAIRS
from pipeline.execution.interrupt import deadline
from pipeline.execution.run import run as run_step
from pipeline.output import OutputMode
from pipeline.pairs.two_step_settings import name_of
from pipeline.planning.plan import PlanError
from pipeline.tasks.task import task_of
from stages.storage.ownership import claim
from stages.storage.store import Store


def run(pairs: PairsConfig, images: Config, mode: OutputMode) -> int:
    """Write the caption pairs, then make the images; return the exit code. The same command again resumes either.

    All pairs are written before images are planned: near-duplicates across captions are known only then, and the second
    plan names every pair. Raises PlanError if no pair was kept, and as ``execution.run.run``.
    """
    with claim(Store(images.out), "out", steps=[Path(pairs.out).name]):
        return _run_steps(pairs, images, mode)


def _run_steps(pairs: PairsConfig, images: Config, mode: OutputMode) -> int:
    # Both deadlines count from the command.
    ends = deadline(pairs.cluster.hours), deadline(images.cluster.hours)
    task_of(pairs).check()
    # Hours of writing should not end with an image model that is missing.
    task_of(images).check()
    written = run_step(pairs, mode if mode is OutputMode.text else OutputMode.quiet, ends[0])
    if written.failed and pairs.strict:
        print(
            f"pairforge: {written.failed} captions got no answer, and strict=true: pairforge retry-failed {pairs.out} "
            "asks for them again, then the same command goes on",
            file=sys.stderr,
        )
        return FAILED_PAIRS
    if not written.samples:
        raise PlanError(
            f"no pair was kept of {written.read:,} captions: {pairs.out}/report/index.html gives the reasons"
        )
    with _local_file(Store(pairs.out), name_of(pairs.file)) as path:
        images = replace(images, captions=replace(images.captions, path=path))
        return FAILED_PAIRS if run_step(images, mode, ends[1]).failed and images.strict else 0


@contextmanager
def _local_file(store: Store, name: str) -> Iterator[str]:
    """Yield a local path of the file, a copy if the store is remote."""
    if "://" not in store.url:
        yield store.path(name)
        return
    with tempfile.TemporaryDirectory(prefix="pairforge-") as folder:
        copy = Path(folder) / name
        with store.open_read(name) as remote, copy.open("wb") as local:
            shutil.copyfileobj(remote, local)
        yield str(copy)
