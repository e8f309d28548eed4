"""What Prompt-to-Prompt is measured against, in the same batches: SDEdit, and the same noise with nothing injected.

SDEdit (Meng et al. 2022, algorithm 1) brings the finished source back to some step with fresh noise and denoises it
from there under the target. Its t₀, the "strength" of diffusers, is 1 − τ: so τ is once more the fraction of the
steps, from the first, that are the source's, at 0 next to nothing is left of the source, and at 1 all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.samplers import Sampler, State
from p2p.sweep.noise import restart_noise
from p2p.sweep.request import SweepRequest
from p2p.sweep.sweep_plan import SweepPlan, make_plan
from p2p.sweep.trajectory import Walker
from p2p.sweep.tree import Branch, Injection, injected_steps

_NOTHING = Injection(cross=(False,), self_attention=False)


def plan(
    index: int, request: SweepRequest, family: Family, sampler: Callable[[str, int], Sampler]
) -> SweepPlan:
    """``p2p.sweep.sweep_plan.make_plan`` for a request of any method.

    Raises:
        P2PError: an option of Prompt-to-Prompt's beside another method, and what ``make_plan`` raises.
    """
    if request.method == "p2p":
        return make_plan(index, request, family, sampler)
    for name in ("word_taus", "reweight", "blend", "only", "alignment"):
        if getattr(request, name):
            raise P2PError(f"{name} is Prompt-to-Prompt's; leave it out with method={request.method!r}")
    uninjected = replace(request, taus=(0.0,) * len(request.taus), edit="auto")
    planned = make_plan(index, uninjected, family, sampler)
    if request.method == "same_seed":
        return planned
    return replace(planned, branches=(), restarts=restarts(request.taus, request.steps, request.rounding))


def restarts(taus: Sequence[float], steps: int, rounding: str = "nearest") -> tuple[Branch, ...]:
    """SDEdit's branches: each from the step where τ's injection would stop, rounded alike, to the end."""
    members: dict[int, list[int]] = {}
    for member, tau in enumerate(taus):
        members.setdefault(injected_steps(1.0, tau, steps, rounding), []).append(member)
    return tuple(
        Branch(start, (_NOTHING,) * (steps - start), tuple(own), ()) for start, own in members.items()
    )


def restart(source: Walker) -> list[Walker]:
    """A finished source, set out upon the restarts of its plan. A restart at the last step is finished, too."""
    plan, x = source.plan, source.state.x
    walkers = []
    for branch in plan.restarts:
        state = State(x)
        if branch.start < plan.request.steps:
            noise = restart_noise(plan.request.seed, branch.start, (x.shape[0], x.shape[1], x.shape[2]))
            state = plan.sampler.noised(x, noise.to(x.device), branch.start)
        walkers.append(Walker(plan, state, branch.start, branch))
    return walkers
