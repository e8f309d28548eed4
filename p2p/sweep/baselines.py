"""Baselines of Prompt-to-Prompt in the same batches: SDEdit, and the same seed without injection.

SDEdit (Meng et al. 2022, algorithm 1) adds fresh noise of some step to the finished source and denoises it from there
under the target. Its t₀, the "strength" of diffusers, is 1 − τ, so τ is again the fraction of the steps, from the
first, that the edit shares with the source: at 0 almost nothing of the source is left, and at 1 all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.samplers.sampler import MakeSampler, State
from p2p.sweep.noise import restart_noise
from p2p.sweep.request import SweepRequest
from p2p.sweep.sweep_plan import SweepPlan, make_plan
from p2p.sweep.trajectory import Trajectory
from p2p.sweep.tree import Branch, Injection, injected_steps

_NO_INJECTION = Injection(cross=(False,), self_attention=False)


def make_plan_of_method(index: int, request: SweepRequest, family: Family, sampler: MakeSampler) -> SweepPlan:
    """Plans a request of any method; the arguments are those of ``p2p.sweep.sweep_plan.make_plan``.

    Raises:
        P2PError: another method with an option of Prompt-to-Prompt, and the errors of ``make_plan``.
    """
    if request.method == "p2p":
        return make_plan(index, request, family, sampler)
    check_method(request)
    uninjected = replace(
        request, taus=(0.0,) * len(request.taus), edit="auto", start=0.0, self_tau=None, self_max_size=None
    )
    plan = make_plan(index, uninjected, family, sampler)
    if request.method == "same_seed":
        return plan
    return replace(plan, branches=(), restarts=restarts(request.taus, request.steps, request.rounding))


def check_method(request: SweepRequest) -> None:
    """Raises P2PError for another method with an option of Prompt-to-Prompt."""
    for name in ("word_taus", "reweight", "blend", "only", "alignment"):
        if request.method != "p2p" and getattr(request, name):
            raise P2PError(f"{name} needs method='p2p'; remove it with method={request.method!r}")


def restarts(taus: Sequence[float], steps: int, rounding: str = "nearest") -> tuple[Branch, ...]:
    """Makes the branches of SDEdit: each from the step where injection at its τ would stop, by the same rounding."""
    members: dict[int, list[int]] = {}
    for member, tau in enumerate(taus):
        members.setdefault(injected_steps(1.0, tau, steps, rounding), []).append(member)
    return tuple(
        Branch(start, (_NO_INJECTION,) * (steps - start), tuple(indices), ())
        for start, indices in members.items()
    )


def start_restarts(source: Trajectory) -> list[Trajectory]:
    """Makes the trajectories that start from a finished source. One after the last step is the source itself."""
    plan, x = source.plan, source.state.x
    trajectories = []
    for branch in plan.restarts:
        state = State(x)
        if branch.start < plan.request.steps:
            noise = restart_noise(plan.request.seed, branch.start, (x.shape[0], x.shape[1], x.shape[2]))
            state = plan.sampler.noised(x, noise.to(x.device), branch.start)
        trajectories.append(Trajectory(plan, state, branch.start, branch))
    return trajectories
