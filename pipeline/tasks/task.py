"""The protocol of the two kinds of run, and the one place that tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from conf.pairs import PairsConfig, Settings
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel
from pipeline.planning.plan import Plan, PlanSource
from stages.records import UnitResult
from stages.storage.store import Store


class Task(PlanSource, Protocol):
    """One kind of run: what it reads and identifies (``PlanSource``), how it encodes, finishes and reports."""

    @property
    def nouns(self) -> tuple[str, str]:
        """Plural nouns for what the run reads and what it makes."""

    @property
    def encode(self) -> Callable[[UnitResult], dict[str, bytes]]:
        """The function that encodes a unit's result as files by kind. It can be pickled."""

    def freeze(self, store: Store) -> Task:
        """Return the task with everything in its configuration that an earlier output determines.

        Raises ConfigError and PlanError for an earlier output that cannot be used.
        """

    def check(self) -> None:
        """Raise ValueError for a model, key or library that is missing, before anything is planned."""

    def finish(self, plan: Plan, store: Store, commits: Sequence[dict[str, Any]]) -> Funnel:
        """Pack the units, which are all committed, and write the documents of the output."""

    def write_report(self, store: Store) -> bool:
        """Write report/index.html again; False if the pictures for it are gone.

        Raises PlanError for an output that has none yet.
        """

    def tell(self, funnel: Funnel, first_kept: float | None) -> None:
        """Print the funnel and where the output is.

        ``first_kept``: seconds from the command to the first kept sample, None if this command made none.
        """


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
