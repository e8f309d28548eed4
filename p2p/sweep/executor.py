"""Walks many trees at once with the denoiser's batches kept full."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from p2p.baselines import restart
from p2p.families.family import Family
from p2p.sweep.batch_size import MIN_BATCH_ROWS
from p2p.sweep.early_stop import Gate
from p2p.sweep.step import advance
from p2p.sweep.sweep_plan import SweepPlan
from p2p.sweep.trajectory import Job, Walker
from p2p.sweep.transfer import to_cpu, wait_for


@dataclass
class Outcome:
    """What a plan comes to: final latents (C, h, w) on the CPU for each set of members that share them, the source's
    for (). Those that were ``stopped`` at a look have the latents predicted there."""

    finals: dict[tuple[int, ...], Tensor] = field(default_factory=dict)
    rows: int = 0
    stopped: tuple[int, ...] = ()


@dataclass
class Usage:
    """What the denoiser has been called for.

    Attributes:
        calls: of the denoiser.
        rows: of trajectories, over all calls.
        padding: rows that only filled up a call's shape.
        batch_rows: of the last calls: fewer than asked for, where memory was short.
        seconds: of wall clock in denoising, from noise to final latents: the denoiser and its sampler.
    """

    calls: int = 0
    rows: int = 0
    padding: int = 0
    batch_rows: int = 0
    seconds: float = 0.0


def run(
    family: Family,
    plans: Sequence[SweepPlan],
    batch_rows: int,
    pad: bool = False,
    usage: Usage | None = None,
    gate: Gate | None = None,
) -> list[Outcome]:
    """Denoise all plans to the end.

    Jobs with most steps before them go first, then those of earlier plans: sources and trunks run ahead, and the free
    rows they release fill what is left of every batch. The order depends on the plans alone.

    Args:
        family: the denoiser.
        plans: numbered 0, 1, …
        batch_rows: rows that one call may have, 4 or more. A call for which memory is short is made again in halves,
            and so are those after it.
        pad: whether every call is to have just as many.
        usage: where to count the calls.
        gate: where plans with a look are held until it is taken.
    """
    outcomes, usage = [Outcome() for _ in plans], usage or Usage()
    started = time.perf_counter()
    ready = [job for plan in plans for job in start(plan, batch_rows)]
    while ready:
        ready.sort(key=_urgency)
        batch, ready = fill(ready, batch_rows)
        advanced = _advanced(family, batch, batch_rows if pad else None, batch_rows // 2 >= MIN_BATCH_ROWS)
        if advanced is None:
            batch_rows //= 2
            ready = [part for job in (*batch, *ready) for part in regroup(job, batch_rows)]
            continue
        for job in batch:
            outcomes[job[0].plan.index].rows += _rows(job)
        rows = sum(map(_rows, batch))
        usage.calls, usage.rows, usage.batch_rows = usage.calls + 1, usage.rows + rows, batch_rows
        usage.padding += batch_rows - rows if pad else 0
        for moved in advanced:
            for job in (moved, *_restarted(moved)):
                outcome = outcomes[job[0].plan.index]
                _record(job, outcome)
                onward, left = gate.admit(job) if gate and _looked_at(job) else ([job], [])
                _leave(left, outcome)
                ready += [one for going in onward for one in regroup(going, batch_rows)]
    wait_for(family.device)
    usage.seconds += time.perf_counter() - started
    return outcomes


def _advanced(
    family: Family, batch: Sequence[Job], padded_to: int | None, less_will_do: bool
) -> list[Job] | None:
    """None where memory was short: nobody has moved, for a walker never changes."""
    try:
        return advance(family, batch, padded_to)
    except torch.OutOfMemoryError:
        if not less_will_do:
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def start(plan: SweepPlan, batch_rows: int) -> list[Job]:
    """The jobs of a plan's first step."""
    source = Walker(plan, plan.starting, 0, seen=plan.watching.nothing() if plan.watching else None)
    return _jobs(source, [replace(source, branch=branch) for branch in plan.branches], batch_rows)


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
        if _rows(job) <= room:
            taken.append(job)
            room -= _rows(job)
        else:
            left.append(job)
    return taken, left


def _jobs(source: Walker | None, branches: Sequence[Walker], batch_rows: int) -> list[Job]:
    jobs: list[Job] = [(walker,) for walker in branches if not walker.needs_source]
    if source is None:
        return jobs
    fed = [walker for walker in branches if walker.needs_source]
    room = batch_rows // source.rows - 1
    convoys: list[Job] = []
    for first in range(0, len(fed), room):
        feeder = source if first == 0 else replace(source, feeds_only=True)
        convoys.append((feeder, *fed[first : first + room]))
    if not fed and not source.feeds_only:
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
            outcome.finals[walker.branch.members if walker.branch else ()] = to_cpu(walker.state.x)


def _looked_at(job: Job) -> bool:
    return job[0].step == job[0].plan.look


def _leave(left: Sequence[Walker], outcome: Outcome) -> None:
    for walker in left:
        members = walker.branch.members if walker.branch else ()
        assert walker.clean is not None
        outcome.finals[members] = to_cpu(walker.clean)
        outcome.stopped = tuple(sorted((*outcome.stopped, *members)))


def _rows(job: Job) -> int:
    return sum(walker.rows for walker in job)


def _urgency(job: Job) -> tuple[int, int]:
    plan = job[0].plan
    return job[0].step - plan.request.steps, plan.index
