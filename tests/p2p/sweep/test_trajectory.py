from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

import p2p
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep.sweep_plan import SweepPlan, make_plan
from p2p.sweep.trajectory import Trajectory

MakePlan = Callable[..., SweepPlan]


@pytest.fixture
def plan(sd1_editor: p2p.Editor) -> MakePlan:
    config = sd1_editor.family.scheduler_config
    sampler = cache(lambda name, steps, spacing: make_sampler(name, config, steps, torch.device("cpu")))

    def plan(**settings: Any) -> SweepPlan:
        request = p2p.SweepRequest("a red ball", "a blue ball", (0.0, 0.5, 1.0), **settings)
        return make_plan(0, request, sd1_editor.family, sampler)

    return plan


def test_the_source_belongs_to_no_tau_and_needs_nobody(plan: MakePlan) -> None:
    made = plan(steps=4)
    source = Trajectory(made, made.starting, 0)
    assert source.members == ()
    assert [replace(source, step=step).needs_source for step in range(4)] == [False] * 4
    assert [replace(source, step=step).finished for step in range(5)] == [False] * 4 + [True]


def test_an_edit_needs_its_source_while_it_is_injected(plan: MakePlan) -> None:
    made = plan(steps=4, self_gain=0.0)
    branches = {branch.members: branch for branch in made.branches}
    assert set(branches) == {(0,), (1, 2)}
    free, injected = (Trajectory(made, made.starting, 0, branches[members]) for members in ((0,), (1, 2)))
    assert (free.members, injected.members) == ((0,), (1, 2))
    assert (free.needs_source, injected.needs_source) == (False, True)
    # τ = 0.5 leaves the trunk after two of the four steps.
    released, kept = (
        Trajectory(made, made.starting, 2, branch, False) for branch in branches[(1, 2)].children
    )
    assert {released.members: released.needs_source, kept.members: kept.needs_source} == {
        (1,): False,
        (2,): True,
    }


def test_a_blend_needs_the_source_at_every_step(plan: MakePlan) -> None:
    made = plan(steps=4, self_gain=0.0, blend=("ball", "ball"))
    free = next(branch for branch in made.branches if branch.members == (0,))
    assert all(Trajectory(made, made.starting, step, free).needs_source for step in range(4))


@pytest.mark.parametrize(("guidance_scale", "rows"), [(1.0, [1] * 6), (3.0, [2] * 6)])
def test_guidance_doubles_the_rows(plan: MakePlan, guidance_scale: float, rows: list[int]) -> None:
    made = plan(steps=6, guidance_scale=guidance_scale)
    assert [Trajectory(made, made.starting, step).rows for step in range(6)] == rows


def test_guidance_on_an_interval_doubles_the_rows_there(plan: MakePlan) -> None:
    made = plan(steps=6, guidance_scale=3.0, guidance_interval=(0.5, 6.0))
    levels = made.sampler.noise_level.tolist()
    rows = [Trajectory(made, made.starting, step).rows for step in range(6)]
    assert rows == [2 if 0.5 < level <= 6.0 else 1 for level in levels]
    assert set(rows) == {1, 2}
