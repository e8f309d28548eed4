"""The end of a run that writes caption pairs: packing, and what is told of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from conf.pairs import PairsConfig
from pipeline.config import saved
from pipeline.dataset.funnel import Funnel, funnel_of
from pipeline.dataset.quarantine import write_failures
from pipeline.execution.progress import counted
from pipeline.pairs import pairs_report
from pipeline.pairs.pack_pairs import ACROSS, pack
from pipeline.pairs.two_step_settings import name_of
from pipeline.planning.plan import Plan, PlanError, load
from stages.storage.store import Store
from stages.write import committed, read_commits
from stages.writers.checks import REASONS


def finish(config: PairsConfig, plan: Plan, store: Store, commits: Sequence[dict[str, Any]]) -> Funnel:
    """Pack the units, all of them committed, and write the report."""
    funnel = _packed(config, plan, store, commits)
    write_failures(store, commits)
    pairs_report.write(store, funnel, config.writer.model or config.writer.kind.value, config.sheet.pairs)
    return funnel


def tell(config: PairsConfig, funnel: Funnel, first_kept: float | None) -> None:
    """The funnel, and where the caption pairs are."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(table(funnel))
    if first_kept is not None:
        console.print(f"\nFirst caption pair kept after {first_kept:.0f} s")
    where = config.out if "://" in config.out else os.path.relpath(config.out)
    file = f"{where}/{name_of(config.file)}"
    console.print(
        f"\nThe caption pairs are in {file}: pairforge captions={config.file.value} captions.path={file}\n"
        f"{where}/{pairs_report.NAME} shows what they are"
    )
    if funnel.failed:
        console.print(f"{funnel.failed} captions got no answer: quarantine/pairs.jsonl says why")


def report_again(store: Store) -> None:
    """The report of a finished run. Raises as ``ended`` does."""
    config, funnel = ended(store)
    pairs_report.write(store, funnel, config.writer.model or config.writer.kind.value, config.sheet.pairs)


def ended(store: Store) -> tuple[PairsConfig, Funnel]:
    """The configuration and the funnel of a finished run.

    Raises PlanError for one that is not, ConfigError as ``pipeline.config.saved.read``.
    """
    config, plan = saved.read(store), load(store)
    done = len(committed(store))
    if not isinstance(config, PairsConfig) or done < plan.units:
        raise PlanError(f"{store.url} is not complete ({done:,} of {plan.units:,} units): end its run first")
    return config, _packed(config, plan, store, list(read_commits(store, range(plan.units))))


def _packed(config: PairsConfig, plan: Plan, store: Store, commits: Sequence[dict[str, Any]]) -> Funnel:
    """Pack the units, unless that is done; the funnel with what packing left away."""
    written = pack(store, commits, config.checks.near_duplicate, config.file)
    funnel = funnel_of(plan, commits)
    if written.across:
        funnel.rejected[ACROSS] = written.across
    funnel.samples, funnel.pairs_kept = written.pairs, written.captions
    return funnel


def table(funnel: Funnel) -> Table:
    """The funnel, from the captions read to the pairs kept; reasons without a case are left out."""
    return counted(
        [
            (funnel.read, "captions read", None),
            (funnel.quarantined, "quarantined lines", funnel.read),
            (funnel.failed, "captions without an answer", funnel.read),
            (funnel.candidates, "answers", None),
            *[
                (funnel.rejected[reason], f"  {text}", funnel.candidates)
                for reason, text in REASONS.items()
                if reason in funnel.rejected
            ],
            (funnel.samples, "caption pairs kept", funnel.candidates),
            (funnel.pairs_kept, "captions with a pair kept", funnel.pairs),
        ]
    )
