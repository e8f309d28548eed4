"""``captions=from_captions``: one command of two runs, the first of which writes the caption pairs of the second."""

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
from stages.storage.store import Store


def run(pairs: PairsConfig, images: Config, mode: OutputMode) -> int:
    """Write the caption pairs, then make the images; the exit code. The same command again goes on with either.

    The pairs are all there before images are planned: what is near an earlier caption's pair is known no sooner, and
    the second plan can name each of them. Raises PlanError if there is none, and as ``run.run`` does.
    """
    # One time for both, from here on.
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
            f"of {written.read:,} captions none has a pair that was kept: {pairs.out}/report/index.html says why"
        )
    with _here(Store(pairs.out), name_of(pairs.file)) as path:
        images = replace(images, captions=replace(images.captions, path=path))
        return FAILED_PAIRS if run_step(images, mode, ends[1]).failed and images.strict else 0


@contextmanager
def _here(store: Store, name: str) -> Iterator[str]:
    """The path of that file on this machine, a copy's where the store is elsewhere."""
    if "://" not in store.url:
        yield store.path(name)
        return
    with tempfile.TemporaryDirectory(prefix="pairforge-") as folder:
        copy = Path(folder) / name
        with store.open_read(name) as far, copy.open("wb") as near:
            shutil.copyfileobj(far, near)
        yield str(copy)
