"""One call of the denoiser for rows of any sweeps, each at its own step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from p2p.attention import PLAIN, CrossRouting, Routing
from p2p.families.family import Family
from p2p.noise import step_noise
from p2p.plan import Mixing, SweepPlan
from p2p.samplers import State, stack, unstack
from p2p.tree import Branch


@dataclass(frozen=True, eq=False)
class Walker:
    """A trajectory on its way: the sampler's state of one row, come to ``step``.

    ``branch`` is None for the source. A source that ``feeds_only`` is a second copy, for injected branches that do not
    fit in one batch with the first.
    """

    plan: SweepPlan
    state: State
    step: int
    branch: Branch | None = None
    feeds_only: bool = False

    @property
    def injected(self) -> bool:
        """Whether its next step needs the source beside it."""
        return self.branch is not None and bool(self.branch.injection(self.step))

    @property
    def rows(self) -> int:
        """Rows in the denoiser's batch."""
        return 2 if self.plan.request.guided else 1


# Walkers that have to be in one batch: a source with the branches it feeds, or one walker that is free.
Job = tuple[Walker, ...]


def advance(family: Family, jobs: Sequence[Job]) -> list[Job]:
    """All walkers one step on, by one call of the denoiser: first every guided row, then the unguided ones."""
    walkers = [walker for job in jobs for walker in job]
    n, device = len(walkers), family.device
    guided = [k for k, walker in enumerate(walkers) if walker.plan.request.guided]
    owner = torch.tensor([*range(n), *guided], device=device)
    groups = _by_sampler(walkers, device)

    x = torch.stack([walker.state.x for walker in walkers])
    seen, timesteps = torch.empty_like(x), torch.empty(n, device=device)
    for members, i in groups:
        sampler = walkers[members[0]].plan.sampler
        seen[members] = sampler.model_input(x[members], i)
        timesteps[members] = sampler.timesteps[i]
    prompts = [walker.plan.source if walker.branch is None else walker.plan.target for walker in walkers]
    prompts += [walkers[k].plan.unguided for k in guided]
    conditioning = tuple(torch.stack(parts) for parts in zip(*prompts, strict=True))
    output = family.denoise(seen[owner], timesteps[owner], conditioning, route(jobs, family))

    output, unguided = output[:n], output[n:]
    if guided:  # Ho & Salimans 2022, equation 6
        scale = torch.tensor([walkers[k].plan.request.guidance_scale for k in guided], device=device)
        output[guided] = unguided + scale[:, None, None, None] * (output[guided] - unguided)
    states: dict[int, State] = {}
    for members, i in groups:
        group = [walkers[k] for k in members]
        sampler = group[0].plan.sampler
        noise = _noise(group, device) if sampler.stochastic else None
        after = sampler.step(stack([walker.state for walker in group]), output[members], i, noise)
        states.update(zip(members, unstack(after), strict=True))

    moved = iter([replace(w, state=states[k], step=w.step + 1) for k, w in enumerate(walkers)])
    return [tuple(next(moved) for _ in job) for job in jobs]


def route(jobs: Sequence[Job], family: Family) -> Routing:
    """Who takes attention from whom in the batch that ``advance`` makes of these jobs."""
    walkers = [(walker, job[0]) for job in jobs for walker in job]
    row = {id(walker): k for k, (walker, _) in enumerate(walkers)}
    guided = [walker for walker, _ in walkers if walker.plan.request.guided]
    unguided_row = {id(walker): len(walkers) + k for k, walker in enumerate(guided)}
    total = len(walkers) + len(guided)

    self_source, cross = list(range(total)), list(range(total))
    mixings: dict[int, Mixing] = {}
    for walker, leader in walkers:
        if walker.branch is None:
            continue
        injection = walker.branch.injection(walker.step)
        if injection.self_attention:
            self_source[row[id(walker)]] = row[id(leader)]
            if walker.plan.request.inject_unconditional and walker.plan.request.guided:
                self_source[unguided_row[id(walker)]] = unguided_row[id(leader)]
        mixing = walker.plan.mixings[injection.cross]
        if mixing is not None:
            mixings[row[id(walker)]] = mixing
            if mixing.from_source:
                cross[row[id(walker)]] = row[id(leader)]
    if self_source == list(range(total)) and not mixings:
        return PLAIN
    return Routing(
        cross=_cross_routing(cross, mixings, family) if mixings else None,
        self_source=torch.tensor(self_source, device=family.device)
        if self_source != list(range(total))
        else None,
    )


def _cross_routing(source: list[int], mixings: dict[int, Mixing], family: Family) -> CrossRouting:
    S, rows = family.window, len(source)
    Rc = torch.eye(S, device=family.device).repeat(rows, 1, 1)
    Rc[list(mixings)] = torch.stack([mixing.Rc for mixing in mixings.values()])
    kept = {k: mixing.Dc for k, mixing in mixings.items() if mixing.Dc is not None}
    Dc = None
    if kept:
        Dc = torch.zeros(rows, S, 1, device=family.device)
        Dc[list(kept)] = torch.stack(list(kept.values()))
        Dc = Dc.to(family.dtype)
    return CrossRouting(torch.tensor(source, device=family.device), Rc.to(family.dtype), Dc)


def _by_sampler(walkers: Sequence[Walker], device: torch.device) -> list[tuple[list[int], Tensor]]:
    """For each sampler: the indices of its walkers, and their steps."""
    groups: dict[int, list[int]] = {}
    for k, walker in enumerate(walkers):
        groups.setdefault(id(walker.plan.sampler), []).append(k)
    return [
        (members, torch.tensor([walkers[k].step for k in members], device=device))
        for members in groups.values()
    ]


def _noise(walkers: Sequence[Walker], device: torch.device) -> Tensor:
    """(n, C, h, w): drawn once for all walkers of one seed at one step."""
    keys = [(walker.plan.request.seed, walker.step) for walker in walkers]
    shape = tuple(walkers[0].state.x.shape)
    drawn = {key: step_noise(*key, (shape[0], shape[1], shape[2])) for key in dict.fromkeys(keys)}
    return torch.stack([drawn[key] for key in keys]).to(device)
