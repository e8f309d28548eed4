"""Outputs of several runs: of a sweep, and of ``captions=from_captions``, whose caption pairs lie in OUT/pairs."""

from __future__ import annotations

from contextlib import suppress

from pipeline.dataset.funnel import Funnel
from pipeline.pairs.pack_pairs import complete_funnel
from pipeline.pairs.two_step_settings import folder_of
from pipeline.planning.plan import MANIFEST, PlanError, load
from stages.storage.ownership import sweep_runs
from stages.storage.store import Store

PAIRS = "pairs"
"""Value of the setting ``task`` in the plan of a run that writes caption pairs."""


def pairs_store(store: Store) -> Store | None:
    """The output of the first step, the run that writes the caption pairs; None if there is none or it has no plan."""
    first = Store(folder_of(store.url))
    return first if first.exists(MANIFEST) and load(first).settings.get("task") == PAIRS else None


def pairs_funnel(store: Store) -> Funnel | None:
    """The funnel of the first step of an output; None if it has no first step or that is not complete."""
    first = pairs_store(store)
    return None if first is None else complete_funnel(first)


def planned_runs(out: str) -> dict[str, list[Store]]:
    """The planned steps of an output, or of each run of a sweep that has begun, by the output.

    Raises PlanError for an output without a plan.
    """
    runs = {}
    for run in sweep_runs(Store(out)):
        with suppress(PlanError):
            runs[run] = planned_stores(run)
    return runs or {out: planned_stores(out)}


def planned_stores(out: str) -> list[Store]:
    """The planned steps of an output in the order in which they run. Most outputs have one step.

    Raises PlanError for an output without a plan.
    """
    store = Store(out)
    first = pairs_store(store)
    if first is not None and not store.exists(MANIFEST):
        return [first]
    load(store)
    return [store] if first is None else [first, store]
