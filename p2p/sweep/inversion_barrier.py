"""Barrier before the plans of real images: holds them until the inversion of their image is finished."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from p2p.families.family import Family
from p2p.sweep.denoising_step import advance
from p2p.sweep.sweep_plan import Inversion, SweepPlan
from p2p.sweep.trajectory import Trajectory


@dataclass
class InversionBarrier:
    """Runs each inversion once for all plans that need it. Its rows count for the first of them."""

    _waiting: dict[Inversion, list[SweepPlan]] = field(default_factory=dict)
    _running: dict[SweepPlan, tuple[Inversion, list[Tensor]]] = field(default_factory=dict)

    def admit(self, plan: SweepPlan) -> list[SweepPlan]:
        """Returns what starts now: the plan itself, the inversion that it waits for, or nothing while that runs."""
        inversion = plan.inversion
        if inversion is None:
            return [plan]
        if inversion.trajectory is not None:
            return [inversion.prepare(plan)]
        if inversion in self._waiting:
            self._waiting[inversion].append(plan)
            return []
        running = replace(inversion.plan, index=plan.index)
        self._waiting[inversion], self._running[running] = [plan], (inversion, [running.starting.x])
        return [running]

    def record(self, trajectory: Trajectory) -> list[SweepPlan]:
        """Takes a trajectory after its step; returns the plans that start now, because it has finished an inversion."""
        if trajectory.plan not in self._running:
            return []
        inversion, latents = self._running[trajectory.plan]
        latents.append(trajectory.state.x)
        if not trajectory.finished:
            return []
        del self._running[trajectory.plan]
        inversion.trajectory = torch.stack(latents[::-1])
        return [inversion.prepare(plan) for plan in self._waiting.pop(inversion)]


def invert(family: Family, plan: SweepPlan) -> SweepPlan:
    """Inverts the image of a plan alone, and returns the plan that starts from it; a plan without an image as it is."""
    barrier = InversionBarrier()
    (started,) = barrier.admit(plan)
    while started.inverts:
        trajectory = Trajectory(started, started.starting, 0)
        following: list[SweepPlan] = []
        while not following:
            ((trajectory,),) = advance(family, [(trajectory,)])
            following = barrier.record(trajectory)
        (started,) = following
    return started
