"""The barrier alone: who waits, who starts, and in which order the trajectory is kept."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

import p2p
from p2p.inversion.image_inversion import ImageInversions
from p2p.samplers.sampler import State
from p2p.samplers.sampler_registry import make_sampler
from p2p.sweep.inversion_barrier import InversionBarrier, invert
from p2p.sweep.sweep_plan import SweepPlan, make_plan
from p2p.sweep.trajectory import Trajectory
from tests.oracle.inversion import PAIR, drawn_image

STEPS = 3


def waiting_plans(editor: p2p.Editor, *inversions: str) -> list[SweepPlan]:
    family = editor.family
    sampler = cache(lambda name, steps, _: make_sampler(name, family.scheduler_config, steps, family.device))
    images = ImageInversions(family)
    requests = [
        p2p.SweepRequest(PAIR.source, PAIR.target, image=drawn_image(), inversion=name, steps=STEPS)
        for name in inversions
    ]
    return [images.attach(make_plan(k + 5, request, family, sampler)) for k, request in enumerate(requests)]


def test_plans_wait_for_one_inversion(sd1_editor: p2p.Editor) -> None:
    first, second = waiting_plans(sd1_editor, "direct", "ddim")
    barrier = InversionBarrier()
    (inverse,) = barrier.admit(first)
    assert inverse.inverts
    assert inverse.index == first.index
    assert barrier.admit(second) == []
    started = []
    for step in range(1, STEPS + 1):
        assert started == []
        latents = torch.full_like(inverse.starting.x, float(step))
        started = barrier.record(Trajectory(inverse, State(latents), step))
    assert [plan.index for plan in started] == [first.index, second.index]
    direct, ddim = started
    assert direct.stored is not None
    assert ddim.stored is None
    assert [float(latents.mean()) for latents in direct.stored[:-1]] == [3.0, 2.0, 1.0]
    assert torch.equal(direct.stored[-1], inverse.starting.x)
    for plan in started:
        assert torch.equal(plan.starting.x, direct.stored[0])
        assert barrier.admit(plan) == [plan], "it waits no more"
    (third,) = barrier.admit(replace(first, index=9))
    assert third.index == 9
    assert third.stored is direct.stored


def test_one_plan_is_inverted_alone(sd1_editor: p2p.Editor) -> None:
    (plan,) = waiting_plans(sd1_editor, "direct")
    with torch.inference_mode():
        started = invert(sd1_editor.family, plan)
    assert started.stored is not None
    assert len(started.stored) == STEPS + 1
    assert invert(sd1_editor.family, started) is started
