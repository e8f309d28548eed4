"""``pairforge retry-failed OUT``: generates units with a failed pair again."""

from __future__ import annotations

from pipeline.commands.repair import idle_stores, make_again
from pipeline.config import environment, saved
from pipeline.output import output_mode
from stages.storage.commits import committed_units, read_commits


def retry_failed(out: str, quiet: bool, json: bool) -> int:
    """Make again the units that have a failed pair.

    If the run also wrote its caption pairs, only units of images are made
    again: a caption pair that came later would move others.

    Example: pairforge retry-failed out

    Raises PlanError for a live run, and as ``pipeline.execution.run.run`` does.
    """
    mode = output_mode(quiet, json)
    store = idle_stores(out)[-1]
    environment.prepare(saved.read(store))
    units = [c["unit"] for c in read_commits(store, sorted(committed_units(store))) if c["failures"]]
    mode.answer(make_again(store, units, mode))
    return 0
