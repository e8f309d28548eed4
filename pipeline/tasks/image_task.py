"""The end of a run, all its units committed: packing, what is written of it, and what is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from conf.either import Settings
from conf.pairs import PairsConfig
from conf.schema import Config
from pipeline.dataset import contact_sheet
from pipeline.dataset.card import card
from pipeline.dataset.contact_sheet import SHEET, read_previews
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.pack import pack
from pipeline.dataset.quarantine import write_failures
from pipeline.execution.progress import funnel_table
from pipeline.planning.plan import Plan
from pipeline.tasks import two_step_output
from stages.storage.store import Store
from stages.write import PARTS, parts_deleted


@dataclass(frozen=True)
class Ending:
    """``finish`` packs the units and writes what tells of them; ``tell`` says to people how it went, with the seconds
    from the command to the first sample kept, None if none was made now.
    """

    finish: Callable[[Any, Plan, Store, Sequence[dict[str, Any]]], Funnel]
    tell: Callable[[Any, Funnel, float | None], None]


def ending_of(config: Settings) -> Ending:
    """That of a run that makes images, or of one that writes caption pairs."""
    if isinstance(config, PairsConfig):
        # Imported here: who makes images needs no writer.
        from pipeline.tasks import pair_task

        return Ending(pair_task.finish, pair_task.tell)
    return Ending(finish, tell)


def finish(config: Config, plan: Plan, store: Store, commits: Sequence[dict[str, Any]]) -> Funnel:
    """Pack the units, all of them committed, and write what tells of them: sheet, card, report.

    Where the parts were deleted since, sheet and report stay as they are: the parts have the pictures.
    """
    pack(store, commits, config.shards.samples)
    funnel = funnel_of(plan, commits)
    write_failures(store, commits)
    bare = parts_deleted(store, commits)
    shown = [] if bare else list(read_previews(store, commits))
    if shown:
        store.write(SHEET, contact_sheet.draw(shown))
    pictured = store.exists(SHEET) if bare else bool(shown)
    written = two_step_output.writing(store) is not None
    store.write("README.md", card(config, funnel, pictured, written, plan.duplicates).encode())
    # matplotlib takes a second to import: a wrong setting need not wait for it.
    from pipeline.report import page

    if not (bare and store.exists(page.REPORT)):
        page.write_report(store, two_step_output.written(store))
    return funnel


def tell(config: Config, funnel: Funnel, first_kept: float | None) -> None:
    """The funnel, how fast it went, and where the dataset is."""
    console = Console(highlight=False)
    console.print(funnel_table(funnel))
    if first_kept is not None:
        console.print(
            f"\nFirst sample kept after {first_kept:.0f} s; "
            f"{funnel.utilisation:.0%} of the workers' time went into denoising",
            soft_wrap=True,
        )
    if funnel.score_shift:
        shifts = ", ".join(f"{name} {shift:.4f}" for name, shift in funnel.score_shift.items())
        console.print(f"Score shift of the scoring decoder, mean absolute: {shifts}", soft_wrap=True)
    where = config.out if "://" in config.out else os.path.relpath(config.out)
    console.print(
        f"\nThe dataset is in {where}: data/*.tar, scores/*.parquet, report/index.html", soft_wrap=True
    )
    if first_kept is None and funnel.candidates and not Store(config.out).list(PARTS):
        console.print("run/parts was deleted: contact sheet and report stay as they are", soft_wrap=True)
    if funnel.failed:
        console.print(
            f"{funnel.failed} caption pairs failed: quarantine/pairs.jsonl says why", soft_wrap=True
        )
    if not funnel.samples:
        console.print(
            "Nothing was kept: scores/*.parquet shows what each candidate missed (filter.clip_sim_…)"
        )
