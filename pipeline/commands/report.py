"""``pairforge report OUT``: writes the page of a live, an ended or a killed run."""

from __future__ import annotations

from pipeline.output import output_mode
from pipeline.report.page import NO_PICTURES
from pipeline.report.template import REPORT
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task


def report(out: str, quiet: bool, json: bool) -> int:
    """Write report/index.html: the run so far, in figures and pictures.

    The run may be live, ended or killed.

    Example: pairforge report out

    Raises PlanError for an output without a plan, DamageError for damage.
    """
    mode, answers = output_mode(quiet, json), []
    for store in two_step_output.planned_stores(out):
        has_pictures = saved_task(store).write_report(store)
        mode.say(*([] if has_pictures else [NO_PICTURES]), store.path(REPORT))
        answers.append({"out": store.url, "report": store.path(REPORT), "has_pictures": has_pictures})
    mode.answer(*answers)
    return 0
