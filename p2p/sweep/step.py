"""One call of the denoiser for rows of any sweeps, each at its own step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from p2p.attention.local_blend import blended, mask
from p2p.attention.router import route
from p2p.families.family import Family
from p2p.samplers import State, stack, unstack
from p2p.sweep.noise import step_noise
from p2p.sweep.trajectory import Job, Walker
from p2p.sweep.transfer import to_device


def advance(family: Family, jobs: Sequence[Job], padded_to: int | None = None) -> list[Job]:
    """All walkers one step on, by one call of the denoiser: first every guided row, then the unguided ones.

    Args:
        family: the denoiser.
        jobs: whom to move.
        padded_to: rows that the call is to have, filled up with the first walker's: one shape for a compiled denoiser.
            None gives it as many as there are.
    """
    walkers = [walker for job in jobs for walker in job]
    n, device = len(walkers), family.device
    guided = [k for k, walker in enumerate(walkers) if walker.guided]
    spare = [0] * (0 if padded_to is None else padded_to - n - len(guided))
    owner = to_device([*range(n), *guided, *spare], device)
    groups = _by_sampler(walkers, device)

    x = torch.stack([walker.state.x for walker in walkers])
    seen, timesteps = torch.empty_like(x), torch.empty(n, device=device)
    for members, at, i in groups:
        sampler = walkers[members[0]].plan.sampler
        seen[at] = sampler.model_input(x[at], i)
        timesteps[at] = sampler.timesteps[i]
    prompts = [walker.plan.source if walker.branch is None else walker.plan.target for walker in walkers]
    prompts += [walkers[k].plan.unguided for k in guided] + [prompts[k] for k in spare]
    conditioning = tuple(torch.stack(parts) for parts in zip(*prompts, strict=True))
    routing = route(jobs, family, len(owner), compiled=padded_to is not None)
    output = family.denoise(seen[owner], timesteps[owner], conditioning, routing)

    output, unguided = output[:n], output[n : n + len(guided)]
    if guided:  # Ho & Salimans 2022, equation 6
        scale = to_device([float(walkers[k].plan.request.guidance_scale) for k in guided], device)
        at = to_device(guided, device)
        output[at] = unguided + scale[:, None, None, None] * (output[at] - unguided)
    states: dict[int, State] = {}
    clean: dict[int, Tensor] = {}
    for members, at, i in groups:
        group = [walkers[k] for k in members]
        sampler = group[0].plan.sampler
        noise = _noise(group, device) if sampler.stochastic else None
        after = sampler.step(stack([walker.state for walker in group]), output[at], i, noise)
        states.update(zip(members, unstack(after), strict=True))
        if any(walker.step + 1 == walker.plan.look for walker in group):
            predicted = zip(members, group, sampler.denoised(x[at], output[at], i), strict=True)
            clean.update({k: row for k, walker, row in predicted if walker.step + 1 == walker.plan.look})

    sums = iter(routing.watch.sums[0] if routing is not None and routing.watch is not None else ())
    moved = iter(
        replace(
            w,
            state=states[k],
            step=w.step + 1,
            seen=None if w.seen is None else next(sums),
            clean=clean.get(k),
        )
        for k, w in enumerate(walkers)
    )
    return [blend(tuple(next(moved) for _ in job)) for job in jobs]


def blend(job: Job) -> Job:
    """A job that has been advanced, with its branches held to the source outside of where their blend lets them."""
    source, *branches = job
    plan = source.plan.blend
    if plan is None or source.seen is None or source.step <= plan.start:
        return job
    size = (source.state.x.shape[-2], source.state.x.shape[-1])
    held: list[Walker] = [source]
    for walker in branches:
        assert walker.seen is not None
        alpha = mask(source.seen, walker.seen, plan, size)
        clean = walker.clean
        if clean is not None and source.clean is not None:
            clean = torch.where(alpha, clean, source.clean)
        held.append(replace(walker, state=blended(walker.state, source.state, alpha), clean=clean))
    return tuple(held)


def _by_sampler(walkers: Sequence[Walker], device: torch.device) -> list[tuple[list[int], Tensor, Tensor]]:
    """For each sampler: the indices of its walkers, the same on the device, and the walkers' steps there."""
    groups: dict[int, list[int]] = {}
    for k, walker in enumerate(walkers):
        groups.setdefault(id(walker.plan.sampler), []).append(k)
    return [
        (members, to_device(members, device), to_device([walkers[k].step for k in members], device))
        for members in groups.values()
    ]


def _noise(walkers: Sequence[Walker], device: torch.device) -> Tensor:
    """(n, C, h, w): drawn once for all walkers of one seed at one step."""
    keys = [(walker.plan.request.seed, walker.step) for walker in walkers]
    shape = tuple(walkers[0].state.x.shape)
    drawn = {key: step_noise(*key, (shape[0], shape[1], shape[2])) for key in dict.fromkeys(keys)}
    return to_device(torch.stack([drawn[key] for key in keys]), device)
