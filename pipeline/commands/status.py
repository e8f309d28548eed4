"""``pairforge status OUT``: shows how far a run is, from its output alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.execution.progress import clock
from pipeline.planning.plan import load
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task
from stages.storage import heartbeat
from stages.storage.commits import committed_units, read_commits
from stages.storage.heartbeat import Heartbeat
from stages.storage.store import Store

SHOWN = 10


def status(out: str) -> int:
    """Show how far a run is: live, ended or killed, here or remote.

    Reads the output alone, wherever it lies and whoever runs it.

    Example: pairforge status s3://bucket/out

    Raises PlanError for an output without a plan.
    """
    stores = two_step_output.planned_stores(out)
    for store in stores:
        _print_status(store)
    if stores[-1].url != out:
        print(f"{out}: its images begin when the caption pairs are written")
    return 0


def _print_status(store: Store) -> None:
    plan = load(store)
    inputs, products = saved_task(store).nouns
    done = sorted(committed_units(store))
    funnel = funnel_of(plan, read_commits(store, done))
    now, drivers = time.time(), heartbeat.read_heartbeats(store)
    alive = [driver for driver in drivers if driver.is_alive(now)]
    print(
        f"{store.url}: {_state(drivers, alive, len(done) == plan.units, now)}",
        f"units      {len(done):,} of {plan.units:,} done ({len(done) / plan.units:.0%})",
        f"{inputs:<10} {funnel.pairs:,} of {plan.pairs:,} done, {funnel.failed:,} failed, "
        f"{funnel.quarantined:,} lines quarantined",
        f"kept       {funnel.samples:,} {products} of {funnel.pairs_kept:,} {inputs} ({funnel.keep_rate:.0%})",
        *_rates(alive, funnel, plan.pairs - funnel.pairs),
        sep="\n",
    )
    label = "in flight" if alive else "interrupted"
    notes = [note for note in heartbeat.read_notes(store) if note.unit not in set(done)]
    for note in notes[:SHOWN]:
        age = clock(max(0.0, now - note.started))
        print(f"{label:<10} unit {note.unit} on {note.host} (process {note.pid}), started {age} ago")
    if len(notes) > SHOWN:
        print(f"{label:<10} and {len(notes) - SHOWN} more")


def _state(drivers: Sequence[Heartbeat], alive: Sequence[Heartbeat], complete: bool, now: float) -> str:
    if alive:
        return f"running on {', '.join(f'{driver.host} (process {driver.pid})' for driver in alive)}"
    if complete:
        return "complete"
    if not drivers:
        return "planned, not started"
    last = max(drivers, key=lambda driver: driver.seen)
    state = "killed" if last.state == "running" else last.state
    return f"{state} {clock(max(0.0, now - last.seen))} ago; the same command goes on"


def _rates(alive: Sequence[Heartbeat], funnel: Funnel, pairs_left: int) -> list[str]:
    seconds = sum(funnel.seconds.values())
    worker = f"{funnel.rows / seconds:.1f} rows/s a worker" if seconds else "nothing made yet"
    if not alive:
        return [f"rate       {worker}"]
    rate = sum(driver.rate for driver in alive)
    left = [f"time left  {clock(pairs_left / rate)}"] if rate and pairs_left else []
    return [f"rate       {rate:.2f} pairs/s now, {worker}", *left]
