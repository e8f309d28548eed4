"""Executor of sweeps: denoises many trees at once and keeps the denoiser's batches full."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from p2p.device_transfer import to_cpu, wait_for
from p2p.families.family import Family
from p2p.samplers.sampler import State
from p2p.sweep.baselines import start_restarts
from p2p.sweep.batch_size import MIN_BATCH_ROWS
from p2p.sweep.denoising_step import advance
from p2p.sweep.early_stop import EarlyStopBarrier
from p2p.sweep.inversion_barrier import InversionBarrier
from p2p.sweep.sweep_plan import SweepPlan
from p2p.sweep.trajectory import Job, Trajectory


@dataclass
class Outcome:
    """Result of a plan.

    Attributes:
        finals: final latents (C, h, w) fp32 on the CPU, by the indices of the τ that share them; () is the source.
        rows: of the denoiser.
        stopped: indices of the τ that were dropped at the early stop. Their latents are those predicted there.
    """

    finals: dict[tuple[int, ...], Tensor] = field(default_factory=dict)
    rows: int = 0
    stopped: tuple[int, ...] = ()


@dataclass
class Usage:
    """Work of the denoiser.

    Attributes:
        calls: of the denoiser.
        rows: of trajectories in all calls.
        padding: rows that only filled up the shape of a call.
        batch_rows: of the last call; fewer than configured if memory was short.
        seconds: of wall clock from noise to final latents: the denoiser and the samplers.
        halved_to: the least rows of a batch since it was last set to 0 for which a larger one was halved; 0 for none.
    """

    calls: int = 0
    rows: int = 0
    padding: int = 0
    batch_rows: int = 0
    seconds: float = 0.0
    halved_to: int = 0


FollowUp = Callable[[list[tuple[int, Outcome]]], Callable[[], Sequence[SweepPlan]]]
"""Takes plans that have finished, each with its index and outcome. The result gives the plans that follow, numbered
on, when it is called."""

# Plans are started while fewer rows than so many batches are ready: more would finish all at once, and there would be
# nothing to denoise while their images are decoded and scored.
READY_BATCHES = 2
# Calls of the denoiser after which the plans that follow finished ones are asked for.
FOLLOW_UP_CALLS = 4


def run_plans(
    family: Family,
    plans: Sequence[SweepPlan],
    batch_rows: int,
    pad: bool = False,
    usage: Usage | None = None,
    barrier: EarlyStopBarrier | None = None,
    follow_up: FollowUp | None = None,
    in_order: bool = False,
) -> list[Outcome]:
    """Denoises all plans to the end, after the inversions of their images.

    Jobs with most remaining steps go first, then those of earlier plans: sources and trunks run ahead, and the free
    rows they release fill the remaining room of every batch. The order depends on the plans alone, those that follow
    included, and never on the time that anything takes.

    Args:
        family: the denoiser.
        plans: numbered 0, 1, …
        batch_rows: most rows of one call, 4 or more. If memory is short the call is repeated in halves, and later
            calls have the smaller size.
        pad: whether to fill up every call to ``batch_rows``.
        usage: counts the calls.
        barrier: decides the early stops of plans that have one.
        follow_up: gives the plans that follow those that have finished. It is asked some calls later, or as soon as
            the others cannot fill a batch.
        in_order: whether earlier plans go first while others wait to be started, so that with ``follow_up`` they finish
            one after the other. Some more rows are padding.
    """
    outcomes, usage = [Outcome() for _ in plans], usage or Usage()
    started = time.perf_counter()
    ready: list[Job] = []
    waiting, following = deque(plans), deque[tuple[int, Callable[[], Sequence[SweepPlan]]]]()
    inversions = InversionBarrier()

    def start(admitted: Sequence[SweepPlan]) -> None:
        for plan in admitted:
            outcomes[plan.index].rows += plan.prepared_rows
            usage.calls, usage.rows = usage.calls + plan.prepared_rows, usage.rows + plan.prepared_rows
            if plan.stored is not None:
                outcomes[plan.index].finals[()] = to_cpu(plan.stored[-1])
            for job in start_jobs(plan, batch_rows):
                settle(job)

    def settle(job: Job) -> None:
        """Takes a job after a step: records what is finished or dropped, and makes the jobs of the next step."""
        outcome = outcomes[job[0].plan.index]
        job = (*job, *_forked(job[0]))
        for trajectory in job:
            if trajectory.finished and not trajectory.is_copy:
                outcome.finals[trajectory.members] = to_cpu(trajectory.state.x)
        continuing: list[Job] = [job]
        if barrier and job[0].step == job[0].plan.early_stop_step:
            continuing, dropped = barrier.admit(job)
            _record_dropped(dropped, outcome)
        ready.extend(part for onward in continuing for part in regroup(onward, batch_rows))

    def hand_over(indices: set[int]) -> None:
        """Asks for the plans that follow those of ``indices`` which have no job any more."""
        unfinished = {job[0].plan.index for job in ready} | (barrier.held if barrier else set())
        if follow_up and (finished := sorted(indices - unfinished)):
            following.append((usage.calls, follow_up([(index, outcomes[index]) for index in finished])))

    while ready or waiting or following:
        while waiting and (follow_up is None or sum(map(_rows, ready)) < READY_BATCHES * batch_rows):
            plan = waiting.popleft()
            start(inversions.admit(plan))
            if not plan.branches:
                hand_over({plan.index})
        if following and (
            sum(map(_rows, ready)) < batch_rows or usage.calls - following[0][0] >= FOLLOW_UP_CALLS
        ):
            asked = time.perf_counter()
            further = following.popleft()[1]()
            started += time.perf_counter() - asked
            outcomes += [Outcome() for _ in further]
            waiting += further
            continue
        if not ready:
            continue
        ready.sort(key=_order if in_order and waiting else _priority)
        batch, ready = fill_batch(ready, batch_rows)
        advanced = _try_advance(family, batch, batch_rows if pad else None, batch_rows // 2 >= MIN_BATCH_ROWS)
        if advanced is None:
            batch_rows //= 2
            usage.halved_to = min(usage.halved_to or batch_rows, batch_rows)
            ready = [part for job in (*batch, *ready) for part in regroup(job, batch_rows)]
            continue
        for job in batch:
            outcomes[job[0].plan.index].rows += _rows(job)
        rows = sum(map(_rows, batch))
        usage.calls, usage.rows, usage.batch_rows = usage.calls + 1, usage.rows + rows, batch_rows
        usage.padding += batch_rows - rows if pad else 0
        for moved in advanced:
            if moved[0].plan.inverts:
                start(inversions.record(moved[0]))
                ready += regroup(moved, batch_rows)
                continue
            for job in (moved, *_restarts(moved)):
                settle(job)
        hand_over({job[0].plan.index for job in batch})
    wait_for(family.device)
    usage.seconds += time.perf_counter() - started
    return outcomes


def _try_advance(
    family: Family, batch: Sequence[Job], padded_to: int | None, can_halve: bool
) -> list[Job] | None:
    """Calls ``advance``; None if memory was short. The batch is unchanged then, because trajectories never change."""
    try:
        return advance(family, batch, padded_to)
    except torch.OutOfMemoryError:
        if not can_halve:
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def start_jobs(plan: SweepPlan, batch_rows: int) -> list[Job]:
    """Makes the jobs of a plan's first step."""
    if plan.stored is not None and plan.forks:
        first = min(branch.start for branch in plan.forks)
        return [(Trajectory(plan, State(plan.stored[first]), first),)]
    if plan.stored is not None and not plan.branches:
        return _restarts((Trajectory(plan, State(plan.stored[-1]), plan.request.steps),))
    sums = plan.map_columns.zero_sums() if plan.map_columns else None
    source = Trajectory(plan, plan.starting, 0, column_sums=sums)
    return _make_jobs(source, [replace(source, branch=branch) for branch in plan.branches], batch_rows)


def regroup(job: Job, batch_rows: int) -> list[Job]:
    """Makes the jobs of the next step: finished trajectories end, branches fork, those without injection run alone."""
    unfinished = [trajectory for trajectory in job if not trajectory.finished]
    source = next((trajectory for trajectory in unfinished if trajectory.branch is None), None)
    edits: list[Trajectory] = []
    for trajectory in unfinished:
        branch = trajectory.branch
        if branch is not None:
            forks = trajectory.step == branch.stop
            edits += (
                [replace(trajectory, branch=child) for child in branch.children] if forks else [trajectory]
            )
    return _make_jobs(source, edits, batch_rows)


def _forked(source: Trajectory) -> list[Trajectory]:
    """Makes the trajectories that leave a source at its next step."""
    if source.branch is not None or source.is_copy:
        return []
    return [replace(source, branch=fork) for fork in source.plan.forks if fork.start == source.step]


def _restarts(job: Job) -> list[Job]:
    """Makes the jobs that start from a job's source once it is finished."""
    source = job[0]
    if source.branch is None and source.finished:
        return [(trajectory,) for trajectory in start_restarts(source)]
    return []


def fill_batch(ready: Sequence[Job], batch_rows: int) -> tuple[list[Job], list[Job]]:
    """Takes jobs in order while they fit: the batch, and the remaining jobs."""
    batch, remaining, room = [], [], batch_rows
    for job in ready:
        if _rows(job) <= room:
            batch.append(job)
            room -= _rows(job)
        else:
            remaining.append(job)
    return batch, remaining


def _make_jobs(source: Trajectory | None, edits: Sequence[Trajectory], batch_rows: int) -> list[Job]:
    """Groups the source with the edits that need it; a copy of the source goes with those that do not fit."""
    alone: list[Job] = [(edit,) for edit in edits if not edit.needs_source]
    if source is None:
        return alone
    dependent = [edit for edit in edits if edit.needs_source]
    room = (batch_rows - source.rows) // dependent[0].rows if dependent else 1
    together: list[Job] = []
    for first in range(0, len(dependent), room):
        leader = source if first == 0 else replace(source, is_copy=True)
        together.append((leader, *dependent[first : first + room]))
    if not dependent and not source.is_copy and not source.is_stored:
        alone.insert(0, (source,))
    return together + alone


def _record_dropped(dropped: Sequence[Trajectory], outcome: Outcome) -> None:
    for trajectory in dropped:
        assert trajectory.predicted is not None
        if trajectory.branch is not None or trajectory.plan.stored is None:
            outcome.finals[trajectory.members] = to_cpu(trajectory.predicted)
        outcome.stopped = tuple(sorted((*outcome.stopped, *trajectory.members)))


def _rows(job: Job) -> int:
    return sum(trajectory.rows for trajectory in job)


def _order(job: Job) -> tuple[int, int]:
    return job[0].plan.index, job[0].step


def _priority(job: Job) -> tuple[int, int]:
    plan = job[0].plan
    remaining = plan.request.steps - job[0].step
    return -remaining - (plan.request.steps if plan.inverts else 0), plan.index
