"""``pairforge status OUT``: how far a run is, from its output alone, wherever that lies and whoever runs it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console

from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.execution.progress import clock
from pipeline.planning.plan import load
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task
from stages.storage import heartbeat, in_flight
from stages.storage.commits import committed_units, read_commits
from stages.storage.heartbeat import Heartbeat
from stages.storage.store import Store

SHOWN = 10


def status(out: str) -> int:
    """Show how far a run is: live, ended or killed, here or remote.

    Reads the output alone, wherever it lies and whoever runs it.

    Raises PlanError for an output without a plan.
    """
    stores = two_step_output.planned_stores(out)
    for store in stores:
        _tell(store)
    if stores[-1].url != out:
        print(f"{out}: its images begin when the caption pairs are written")
    return 0


def _tell(store: Store) -> None:
    plan = load(store)
    given, made = saved_task(store).nouns
    done = sorted(committed_units(store))
    funnel = funnel_of(plan, read_commits(store, done))
    flying = [note for note in in_flight.noted(store) if note.unit not in set(done)]
    seen, now = heartbeat.read_heartbeats(store), time.time()
    alive = [driver for driver in seen if driver.is_alive(now)]
    console = Console(highlight=False, soft_wrap=True)
    for line in (
        f"{store.url}: {_state(seen, alive, len(done), plan.units, now)}",
        f"units      {len(done):,} of {plan.units:,} done ({len(done) / plan.units:.0%})",
        f"{given:<10} {funnel.pairs:,} of {plan.pairs:,} done, {funnel.failed:,} failed, "
        f"{funnel.quarantined:,} lines quarantined",
        f"kept       {funnel.samples:,} {made} of {funnel.pairs_kept:,} {given} ({funnel.keep_rate:.0%})",
        f"rate       {_rate(alive, funnel)}",
        *_left(alive, plan.pairs - funnel.pairs),
    ):
        console.print(line, markup=False)
    word = "in flight" if alive else "interrupted"
    for note in flying[:SHOWN]:
        since = clock(max(0.0, now - note.started))
        console.print(f"{word:<10} unit {note.unit} on {note.host} (process {note.pid}), begun {since} ago")
    if len(flying) > SHOWN:
        console.print(f"{word:<10} and {len(flying) - SHOWN} more")


def _state(seen: Sequence[Heartbeat], alive: Sequence[Heartbeat], done: int, units: int, now: float) -> str:
    if alive:
        where = ", ".join(f"{driver.host} (process {driver.pid})" for driver in alive)
        return f"running on {where}"
    if not seen:
        return "complete" if done == units else "planned, not begun"
    last = max(seen, key=lambda driver: driver.seen)
    if done == units:
        return "complete"
    how = "killed" if last.state == "running" else last.state
    return f"{how} {clock(max(0.0, now - last.seen))} ago; the same command goes on"


def _rate(alive: Sequence[Heartbeat], funnel: Funnel) -> str:
    spent = sum(funnel.seconds.values())
    worker = f"{funnel.rows / spent:.1f} rows/s a worker" if spent else "nothing made yet"
    return f"{sum(driver.rate for driver in alive):.2f} pairs/s now, {worker}" if alive else worker


def _left(alive: Sequence[Heartbeat], pairs: int) -> list[str]:
    rate = sum(driver.rate for driver in alive)
    return [f"time left  {clock(pairs / rate)}"] if rate and pairs else []
