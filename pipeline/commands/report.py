"""``pairforge report OUT``: makes the page, of a live, an ended or a killed run."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.cli import registry
from pipeline.planning.plan import load
from pipeline.report import page
from pipeline.tasks import two_step_output


def main(arguments: Sequence[str]) -> int:
    """Write the page and say where; 0. Raises PlanError for an output without a plan, PartError for damage."""
    for store in two_step_output.planned(registry.output_of("report", arguments)):
        if load(store).of_captions:
            # Imported here: who makes images needs no writer.
            from pipeline.tasks import pair_task

            pair_task.report_again(store)
        else:
            if not page.write_report(store, two_step_output.written(store)):
                print(page.NO_PICTURES)
        print(store.path(page.REPORT))
    return 0
