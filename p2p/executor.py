"""Walks many trees at once with the denoiser's batches kept full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from p2p.baselines import restart
from p2p.batch import advance
from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.plan import SweepPlan
from p2p.walker import Job, Walker

# A source and one branch that it feeds, both guided: what has to fit in a batch.
MIN_BATCH_ROWS = 4


@dataclass
class Outcome:
    """What a plan comes to: final latents (C, h, w) on the CPU for each set of members that share them, the source's
    for ()."""

    finals: dict[tuple[int, ...], Tensor] = field(default_factory=dict)
    rows: int = 0


def run(family: Family, plans: Sequence[SweepPlan], batch_rows: int) -> list[Outcome]:
    """Denoise all plans to the end.

    Jobs with most steps before them go first, then those of earlier plans: sources and trunks run ahead, and the free
    rows they release fill what is left of every batch. The order depends on the plans alone.

    Args:
        family: the denoiser.
        plans: numbered 0, 1, …
        batch_rows: rows that one call may have.

    Raises:
        P2PError: ``batch_rows`` below 4.
    """
    if batch_rows < MIN_BATCH_ROWS:
        raise P2PError(f"batch_rows = {batch_rows}; a source and its edit take {MIN_BATCH_ROWS} rows")
    outcomes = [Outcome() for _ in plans]
    ready = [job for plan in plans for job in start(plan, batch_rows)]
    while ready:
        ready.sort(key=_urgency)
        batch, ready = fill(ready, batch_rows)
        for job in batch:
            outcomes[job[0].plan.index].rows += sum(walker.rows for walker in job)
        for moved in advance(family, batch):
            for job in (moved, *_restarted(moved)):
                _record(job, outcomes[job[0].plan.index])
                ready += regroup(job, batch_rows)
    return outcomes


def start(plan: SweepPlan, batch_rows: int) -> list[Job]:
    """The jobs of a plan's first step."""
    source = Walker(plan, plan.starting, 0)
    return _jobs(source, [Walker(plan, plan.starting, 0, branch) for branch in plan.branches], batch_rows)


def regroup(job: Job, batch_rows: int) -> list[Job]:
    """The jobs that follow upon a job that has been advanced: branches fork, the released go their own way."""
    going = [walker for walker in job if walker.step < walker.plan.request.steps]
    source = next((walker for walker in going if walker.branch is None), None)
    branches = [fork for walker in going if walker.branch is not None for fork in _forks(walker)]
    return _jobs(source, branches, batch_rows)


def _restarted(job: Job) -> list[Job]:
    """The jobs that had to wait until a job's source was finished."""
    source = job[0]
    if source.branch is None and source.step == source.plan.request.steps:
        return [(walker,) for walker in restart(source)]
    return []


def fill(ready: Sequence[Job], batch_rows: int) -> tuple[list[Job], list[Job]]:
    """Take jobs in order as long as they fit: those taken, and those left."""
    taken, left, room = [], [], batch_rows
    for job in ready:
        rows = sum(walker.rows for walker in job)
        if rows <= room:
            taken.append(job)
            room -= rows
        else:
            left.append(job)
    return taken, left


def _jobs(source: Walker | None, branches: Sequence[Walker], batch_rows: int) -> list[Job]:
    jobs: list[Job] = [(walker,) for walker in branches if not walker.injected]
    if source is None:
        return jobs
    injected = [walker for walker in branches if walker.injected]
    room = batch_rows // source.rows - 1
    convoys: list[Job] = []
    for first in range(0, len(injected), room):
        feeder = source if first == 0 else replace(source, feeds_only=True)
        convoys.append((feeder, *injected[first : first + room]))
    if not injected and not source.feeds_only:
        jobs.insert(0, (source,))
    return convoys + jobs


def _forks(walker: Walker) -> list[Walker]:
    branch = walker.branch
    if branch is None or walker.step < branch.stop:
        return [walker]
    return [replace(walker, branch=child) for child in branch.children]


def _record(job: Job, outcome: Outcome) -> None:
    for walker in job:
        if walker.step == walker.plan.request.steps and not walker.feeds_only:
            outcome.finals[walker.branch.members if walker.branch else ()] = walker.state.x.cpu()


def _urgency(job: Job) -> tuple[int, int]:
    plan = job[0].plan
    return job[0].step - plan.request.steps, plan.index
