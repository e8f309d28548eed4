"""``pairforge report OUT``: makes the page, of a live, an ended or a killed run."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.cli import registry
from pipeline.report.page import NO_PICTURES
from pipeline.report.template import REPORT
from pipeline.tasks import two_step_output
from pipeline.tasks.task import saved_task


def main(arguments: Sequence[str]) -> int:
    """Write the page and say where; 0. Raises PlanError for an output without a plan, PartError for damage."""
    for store in two_step_output.planned_stores(registry.output_of("report", arguments)):
        if not saved_task(store).write_report(store):
            print(NO_PICTURES)
        print(store.path(REPORT))
    return 0
