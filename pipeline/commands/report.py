"""``pairforge report OUT``: writes the page of a live, an ended or a killed run."""

from __future__ import annotations

from pipeline.report.page import NO_PICTURES
from pipeline.report.template import REPORT
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task


def report(out: str) -> int:
    """Write report/index.html: the run so far, in figures and pictures.

    The run may be live, ended or killed.

    Example: pairforge report out

    Raises PlanError for an output without a plan, DamageError for damage.
    """
    for store in two_step_output.planned_stores(out):
        if not saved_task(store).write_report(store):
            print(NO_PICTURES)
        print(store.path(REPORT))
    return 0
