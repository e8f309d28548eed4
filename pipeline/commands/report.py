"""``pairforge report OUT``: writes the page of a live, an ended or a killed run."""

from __future__ import annotations

import time
from typing import Any

from pipeline.output import OutputMode, output_mode
from pipeline.report.template import REPORT
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task
from stages.storage.heartbeat import read_heartbeats
from stages.storage.store import Store

SECONDS_BETWEEN = 20.0
TIMES_AS_LONG = 9.0
"""Writing the page may take a tenth of the time of a run that it watches."""


def report(out: str, quiet: bool, json: bool, watch: bool = False) -> int:
    """Write report/index.html: the run so far, in figures and pictures.

    The run may be live, ended or killed. An open page of a live run loads
    itself again; --watch writes it anew until the run ends. Of a sweep over
    settings (--multirun) it writes the page of each run.

    Example: pairforge report out --watch

    Raises PlanError for an output without a plan, DamageError for damage.
    """
    mode = output_mode(quiet, json)
    while watch and _is_live(out):
        began = time.monotonic()
        for store in _stores(out):
            saved_task(store).write_report(store)
        time.sleep(max(SECONDS_BETWEEN, TIMES_AS_LONG * (time.monotonic() - began)))
    runs = two_step_output.planned_runs(out)
    mode.answer_runs(out, {run: [_write(store, mode) for store in stores] for run, stores in runs.items()})
    return 0


def _write(store: Store, mode: OutputMode) -> dict[str, Any]:
    """Write the page of one run; return what ``--json`` prints of it."""
    # Imported here, because matplotlib takes a second, which a wrong folder need not wait for.
    from pipeline.report.page import NO_PICTURES

    has_pictures = saved_task(store).write_report(store)
    mode.say(*([] if has_pictures else [NO_PICTURES]), store.path(REPORT))
    return {"out": store.url, "report": store.path(REPORT), "has_pictures": has_pictures}


def _stores(out: str) -> list[Store]:
    return [store for stores in two_step_output.planned_runs(out).values() for store in stores]


def _is_live(out: str) -> bool:
    """Tell whether a driver of one of the output's steps is at work."""
    return any(driver.is_alive(time.time()) for store in _stores(out) for driver in read_heartbeats(store))
