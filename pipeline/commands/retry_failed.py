"""``pairforge retry-failed OUT``: generates units with a failed pair again."""

from __future__ import annotations

from pipeline.commands.repair import idle_stores, make_again
from pipeline.config import environment, saved
from stages.storage.commits import committed_units, read_commits


def retry_failed(out: str) -> int:
    """Make again the units that have a failed pair.

    If the run also wrote its caption pairs, only units of images are made
    again: a caption pair that came later would move others.

    Example: pairforge retry-failed out

    Raises PlanError for a live run, and as ``pipeline.execution.run.run`` does.
    """
    store = idle_stores(out)[-1]
    environment.prepare(saved.read(store))
    make_again(
        store, [c["unit"] for c in read_commits(store, sorted(committed_units(store))) if c["failures"]]
    )
    return 0
