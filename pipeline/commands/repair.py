"""``pairforge repair OUT`` and ``pairforge retry-failed OUT``: what is damaged, or failed, is made again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from pipeline.cli import registry
from pipeline.config import environment, saved
from pipeline.dataset import integrity
from pipeline.execution import heartbeat
from pipeline.planning.plan import PlanError, load
from pipeline.tasks import two_step_output
from stages.storage.store import Store
from stages.write import commit_name, committed, read_commits


def main(arguments: Sequence[str]) -> int:
    """Damaged shards are packed again from the parts; units with a damaged part or commit are generated again.

    0. Raises PlanError for a damaged plan or a run that goes on, and as ``pipeline.execution.run.run`` does.
    """
    stores = _idle(registry.output_of("repair", arguments))
    environment.prepare(*map(saved.read, stores))
    return max(map(_repaired, stores))


def _repaired(store: Store) -> int:
    plan = load(store)
    broken = list(integrity.in_plan(store, plan))
    if broken:
        raise PlanError(
            f"{broken[0].name} {broken[0].reason}, and nothing can be made of a plan that is not whole: "
            "copy that file from elsewhere, or give the command another out=… to start anew"
        )
    units = {one.unit for one in integrity.in_units(store) if one.unit is not None}
    packed = list(integrity.in_packed(store, plan))
    if (units or packed) and integrity.is_bare(store):
        # There is nothing to pack from but what is made again.
        units = committed(store)
    for one in packed:
        print(f"{one.name}: {one.reason}")
        store.remove(one.name)
    return _again(store, units)


def retry_failed(arguments: Sequence[str]) -> int:
    """Units with a pair that failed are generated again; 0. Raises PlanError for a run that goes on.

    Of an output whose caption pairs were written first these are the images': a pair that came later would move others.
    """
    store = _idle(registry.output_of("retry-failed", arguments))[-1]
    environment.prepare(saved.read(store))
    return _again(store, {c["unit"] for c in read_commits(store, sorted(committed(store))) if c["failures"]})


def _idle(out: str) -> list[Store]:
    """The output's halves, of which none is made at present."""
    stores = two_step_output.planned_stores(out)
    alive = [driver for store in stores for driver in heartbeat.beats(store) if driver.alive(time.time())]
    if alive:
        raise PlanError(
            f"{out} has a run that goes on (process {alive[0].pid} on {alive[0].host}): stop it first, or wait"
        )
    return stores


def _again(store: Store, units: Iterable[int]) -> int:
    plan, broken = load(store), sorted(units)
    missing = set(range(plan.units)) - committed(store)
    if plan.is_refiltered and (broken or missing):
        for unit in broken:
            store.remove(commit_name(unit))
        raise PlanError(
            f"{len(missing.union(broken))} units of {store.url} are to be chosen again: the pairforge refilter that "
            "made it does so"
        )
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.execution.run import complete
    from pipeline.tasks.task import saved_task

    for unit in broken:
        print(f"unit {unit} is made again")
        store.remove(commit_name(unit))
    complete(saved_task(store), plan, store)
    return 0
