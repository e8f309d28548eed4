"""``pairforge repair OUT``: makes damaged files again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pipeline.config import environment, saved
from pipeline.dataset import integrity
from pipeline.output import OutputMode, output_mode
from pipeline.planning.plan import PlanError, load
from pipeline.tasks import two_step_output
from stages.storage import heartbeat
from stages.storage.commits import commit_name, committed_units
from stages.storage.store import Store


def repair(out: str, quiet: bool, json: bool) -> int:
    """Make again what verify reports as damaged.

    Packs damaged shards again from the parts. Generates units with a damaged
    part or commit again.

    Example: pairforge repair out

    Raises PlanError for a damaged plan or a live run, and as ``pipeline.execution.run.run`` does.
    """
    mode = output_mode(quiet, json)
    stores = idle_stores(out)
    environment.prepare(*map(saved.read, stores))
    mode.answer(*[_repair(store, mode) for store in stores])
    return 0


def idle_stores(out: str) -> list[Store]:
    """Return the stores of the output's steps. Raises PlanError if one of them has a live run."""
    stores = two_step_output.planned_stores(out)
    alive = [
        driver
        for store in stores
        for driver in heartbeat.read_heartbeats(store)
        if driver.is_alive(time.time())
    ]
    if alive:
        raise PlanError(
            f"{out} has a live run (process {alive[0].pid} on {alive[0].host}): stop it, or wait for its end"
        )
    return stores


def make_again(store: Store, units: Iterable[int], mode: OutputMode) -> dict[str, Any]:
    """Generate these units and all missing ones again, then pack; return what ``--json`` prints.

    Raises PlanError for an output of refilter.
    """
    plan, damaged = load(store), sorted(units)
    missing = set(range(plan.units)) - committed_units(store)
    if plan.is_refiltered and (damaged or missing):
        for unit in damaged:
            store.remove(commit_name(unit))
        raise PlanError(
            f"{len(missing.union(damaged))} units of {store.url} have to be chosen again: repeat the command "
            "pairforge refilter that made it"
        )
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution.run import complete
    from pipeline.tasks.task import saved_task

    for unit in damaged:
        mode.say(f"unit {unit} is made again")
        store.remove(commit_name(unit))
    funnel = complete(saved_task(store), plan, store, mode.of_parts)
    made = {"out": store.url, "units": sorted(missing.union(damaged))}
    return made | {"pairs": funnel.pairs, "failed": funnel.failed, "samples": funnel.samples}


def _repair(store: Store, mode: OutputMode) -> dict[str, Any]:
    plan = load(store)
    for damage in integrity.in_plan(store, plan):
        raise PlanError(
            f"{damage.name} {damage.reason}, and a damaged plan cannot be repaired: restore that file from a copy, or "
            "start a new run with another out=…"
        )
    units = {damage.unit for damage in integrity.in_units(store) if damage.unit is not None}
    packed = list(integrity.in_packed(store, plan))
    if (units or packed) and integrity.is_bare(store):
        # Without parts, packing needs every unit to be generated again.
        units = committed_units(store)
    for damage in packed:
        mode.say(f"{damage.name}: {damage.reason}")
        store.remove(damage.name)
    return {**make_again(store, units, mode), "packed": sorted({damage.name for damage in packed})}
