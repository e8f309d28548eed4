"""Tells the two kinds of run apart: every other module works with either task."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from conf.pairs import PairsConfig, Settings
from pipeline.config import saved
from stages.storage.store import Store

if TYPE_CHECKING:
    from pipeline.tasks.image_task import ImageTask
    from pipeline.tasks.pair_task import PairTask

Task: TypeAlias = "ImageTask | PairTask"
"""One kind of run: what it reads and identifies, how it encodes, finishes and reports. Both have the same methods."""


def task_of(config: Settings) -> Task:
    """Return the task that a configuration describes."""
    # The task modules import the models' libraries, which read the environment: imported when it is prepared.
    if isinstance(config, PairsConfig):
        from pipeline.tasks.pair_task import PairTask

        return PairTask(config)
    from pipeline.tasks.image_task import ImageTask

    return ImageTask(config)


def saved_task(store: Store) -> Task:
    """Return the task of an existing output. Raises ConfigError as ``pipeline.config.saved.read``."""
    return task_of(saved.read(store))
