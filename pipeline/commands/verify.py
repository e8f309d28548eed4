"""``pairforge verify OUT``: checks every file of an output against its checksum, and names what is damaged."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

from pipeline.dataset import integrity
from pipeline.dataset.pack import manifest
from pipeline.output import OutputMode, output_mode
from pipeline.planning.plan import load
from pipeline.tasks import two_step_output
from stages.storage.commits import committed_units
from stages.storage.store import Store

DAMAGED = 1


def verify(out: str, quiet: bool, json: bool) -> int:
    """Check every checksum, count, sample and image of an output.

    Prints a line for each damaged file. pairforge repair makes damaged files
    again. Exit code 1: files are damaged.

    Example: pairforge verify out

    Raises PlanError and DamageError.
    """
    mode = output_mode(quiet, json)
    answers = [_verify(store, mode) for store in two_step_output.planned_stores(out)]
    mode.answer(*answers)
    return DAMAGED if any(answer["damaged"] for answer in answers) else 0


def _verify(store: Store, mode: OutputMode) -> dict[str, Any]:
    plan = load(store)
    damaged = []
    for damage in itertools.chain(
        integrity.in_plan(store, plan), integrity.in_units(store), integrity.in_packed(store, plan)
    ):
        mode.say(f"{damage.name}: {damage.reason}")
        damaged.append(asdict(damage))
    done = len(committed_units(store))
    answer = {"out": store.url, "damaged": damaged, "units": plan.units, "committed": done}
    if damaged:
        mode.say(f"{len(damaged)} damaged: pairforge repair {store.url} makes them again")
        return answer | dict.fromkeys(("shards", "samples", "caption_pairs", "parts"))
    packed = manifest(store)
    shards = [file for file in packed if file.name.startswith("data/")]
    pairs = [file.rows for file in packed if file.name.startswith("pairs.")]
    samples = sum(file.rows for file in shards)
    content = f"{sum(pairs):,} caption pairs" if pairs else f"{len(shards):,} shards with {samples:,} samples"
    bare = integrity.is_bare(store)
    units = f"{done:,} of {plan.units:,} units committed{', run/parts deleted' if bare else ''}, {content}"
    if done < plan.units:
        mode.say(f"{store.url} has no damage, but the run is not complete: {units}")
    else:
        mode.say(f"{store.url} is whole: {units}")
    return answer | {
        "shards": len(shards),
        "samples": samples,
        "caption_pairs": sum(pairs),
        "parts": not bare,
    }
