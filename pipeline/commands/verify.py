"""``pairforge verify OUT``: checks every file of an output against its checksum, and names what is damaged."""

from __future__ import annotations

import itertools

from pipeline.dataset import integrity
from pipeline.dataset.pack import manifest
from pipeline.planning.plan import load
from pipeline.tasks import two_step_output
from stages.storage.commits import committed_units
from stages.storage.store import Store

DAMAGED = 1


def verify(out: str) -> int:
    """Check every checksum, count, sample and image of an output.

    Prints a line for each damaged file. pairforge repair makes damaged files
    again. Exit code 1: files are damaged.

    Example: pairforge verify out

    Raises PlanError and DamageError.
    """
    return max(map(_verify, two_step_output.planned_stores(out)))


def _verify(store: Store) -> int:
    plan = load(store)
    count = 0
    for damage in itertools.chain(
        integrity.in_plan(store, plan), integrity.in_units(store), integrity.in_packed(store, plan)
    ):
        print(f"{damage.name}: {damage.reason}")
        count += 1
    if count:
        print(f"{count} damaged: pairforge repair {store.url} makes them again")
        return DAMAGED
    done = len(committed_units(store))
    packed = manifest(store)
    shards = [file for file in packed if file.name.startswith("data/")]
    pairs = [file.rows for file in packed if file.name.startswith("pairs.")]
    content = f"{len(shards):,} shards with {sum(file.rows for file in shards):,} samples"
    if pairs:
        content = f"{sum(pairs):,} caption pairs"
    bare = ", run/parts deleted" if integrity.is_bare(store) else ""
    print(f"{store.url} is whole: {done:,} of {plan.units:,} units committed{bare}, {content}")
    return 0
