"""``pairforge status OUT``: shows how far a run is, from its output alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.places import PlaceCount, count_place
from pipeline.execution.progress import clock
from pipeline.output import OutputMode, output_mode
from pipeline.planning.plan import load
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task
from stages.storage import heartbeat
from stages.storage.commits import committed_units, read_commits
from stages.storage.evictions import read_evictions
from stages.storage.heartbeat import Heartbeat
from stages.storage.store import Store

SHOWN = 10


def status(out: str, quiet: bool, json: bool) -> int:
    """Show how far a run is: live, ended or killed, here or remote.

    Reads the output alone, wherever it lies and whoever runs it. Of a sweep
    over settings (--multirun) it shows each run.

    Example: pairforge status s3://bucket/out

    Raises PlanError for an output without a plan.
    """
    mode = output_mode(quiet, json)
    runs = two_step_output.planned_runs(out)
    answers = {}
    for run, stores in runs.items():
        answers[run] = [_show(store, mode) for store in stores]
        if stores[-1].url != run:
            mode.say(f"{run}: its images begin when the caption pairs are written")
    mode.answer_runs(out, answers)
    return 0


def _show(store: Store, mode: OutputMode) -> dict[str, Any]:
    """Print the progress of one run; return what ``--json`` prints of it."""
    plan = load(store)
    inputs, products = saved_task(store).nouns
    done = sorted(committed_units(store))
    funnel, places = funnel_of(plan, ()), dict[str, PlaceCount]()
    for commit in read_commits(store, done):
        funnel.add(commit)
        count_place(places, commit)
    evictions = read_evictions(store)
    now, drivers = time.time(), heartbeat.read_heartbeats(store)
    alive = [driver for driver in drivers if driver.is_alive(now)]
    state, ended = _state(drivers, alive, len(done) == plan.units)
    on = f" on {', '.join(f'{driver.host} (process {driver.pid})' for driver in alive)}" if alive else ""
    ago = f" {clock(max(0.0, now - ended))} ago; the same command goes on" if ended else ""
    rate = sum(driver.rate for driver in alive)
    left = plan.pairs - funnel.pairs
    seconds_left = left / rate if rate and left else None
    mode.say(
        f"{store.url}: {state}{on}{ago}",
        f"units      {len(done):,} of {plan.units:,} done ({len(done) / plan.units:.0%})",
        f"{inputs:<10} {funnel.pairs:,} of {plan.pairs:,} done, {funnel.failed:,} failed, "
        f"{funnel.quarantined:,} lines quarantined",
        f"kept       {funnel.samples:,} {products} of {funnel.pairs_kept:,} {inputs} ({funnel.keep_rate:.0%})",
        *_rates(alive, funnel, rate, seconds_left),
    )
    label = "in flight" if alive else "interrupted"
    notes = [note for note in heartbeat.read_notes(store) if note.unit not in set(done)]
    for note in notes[:SHOWN]:
        age = clock(max(0.0, now - note.started))
        mode.say(f"{label:<10} unit {note.unit} on {note.host} (process {note.pid}), started {age} ago")
    if len(notes) > SHOWN:
        mode.say(f"{label:<10} and {len(notes) - SHOWN} more")
    for place, count in sorted(places.items()) if len(places) > 1 else ():
        mode.say(f"{'worker':<10} {place}: {count}")
    for eviction in evictions:
        mode.say(f"{'evicted':<10} {eviction}")
    return {
        "out": store.url,
        "state": state,
        "units": plan.units,
        "committed": len(done),
        "planned_pairs": plan.pairs,
        **asdict(funnel),
        "keep_rate": funnel.keep_rate,
        "pairs_per_second": rate if alive else None,
        "seconds_left": seconds_left,
        "drivers": list(map(asdict, alive)),
        "in_flight": list(map(asdict, notes)),
        "workers": {place: asdict(count) for place, count in sorted(places.items())},
        "evictions": list(map(asdict, evictions)),
    }


def _state(
    drivers: Sequence[Heartbeat], alive: Sequence[Heartbeat], complete: bool
) -> tuple[str, float | None]:
    """Return the state of the run, and when its last driver ended if it did not end well."""
    if alive:
        return "running", None
    if complete:
        return "complete", None
    if not drivers:
        return "planned, not started", None
    last = max(drivers, key=lambda driver: driver.seen)
    return "killed" if last.state == "running" else last.state, last.seen


def _rates(alive: Sequence[Heartbeat], funnel: Funnel, rate: float, seconds_left: float | None) -> list[str]:
    seconds = sum(funnel.seconds.values())
    worker = f"{funnel.rows / seconds:.1f} rows/s a worker" if seconds else "nothing made yet"
    if not alive:
        return [f"rate       {worker}"]
    left = [] if seconds_left is None else [f"time left  {clock(seconds_left)}"]
    return [f"rate       {rate:.2f} pairs/s now, {worker}", *left]
