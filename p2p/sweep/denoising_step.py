"""Denoising step: one call of the denoiser moves trajectories of any sweeps on, each at its own step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from p2p.attention.local_blend import blend_mask, blend_states
from p2p.attention.routing import RowAttention, make_routing
from p2p.device_transfer import to_device
from p2p.families.family import Family
from p2p.samplers.sampler import State, stack, unstack
from p2p.sweep.noise import step_noise
from p2p.sweep.trajectory import Job, Trajectory


def advance(family: Family, jobs: Sequence[Job], padded_to: int | None = None) -> list[Job]:
    """Denoises all trajectories by one step: algorithm 1 of Hertz et al. 2022, with many sources and edits in a batch.

    Args:
        family: the denoiser.
        jobs: the trajectories. Each job is in the result, with the same trajectories one step on.
        padded_to: number of rows of the batch, filled up with copies of the first row, so that a compiled denoiser has
            one shape. None adds no rows.
    """
    trajectories = [trajectory for job in jobs for trajectory in job]
    n, device = len(trajectories), family.device

    # Rows: one for each trajectory under its prompt, then one for each guided one without a prompt, then padding.
    guided = [k for k, trajectory in enumerate(trajectories) if trajectory.guided]
    padding = [0] * (0 if padded_to is None else padded_to - n - len(guided))
    row_to_trajectory = to_device([*range(n), *guided, *padding], device)
    prompts = [t.plan.source if t.branch is None else t.plan.target for t in trajectories]
    prompts += [trajectories[k].plan.unconditional[trajectories[k].step] for k in guided]
    prompts += [prompts[k] for k in padding]
    conditioning = tuple(torch.stack(parts) for parts in zip(*prompts, strict=True))

    # Latents and timesteps: each trajectory's own sampler is at its own step i.
    x = torch.stack([trajectory.state.x for trajectory in trajectories])
    model_input, timesteps = torch.empty_like(x), torch.empty(n, device=device)
    by_sampler = _group_by_sampler(trajectories, device)
    for group, at, i in by_sampler:
        sampler = trajectories[group[0]].plan.sampler
        model_input[at] = sampler.model_input(_shifted(x[at], [trajectories[k] for k in group]), i)
        timesteps[at] = sampler.timesteps[i]

    # Denoiser: edits attend with the maps of their source where their branch of the tree injects them.
    routing = make_routing(
        _attention_of_rows(jobs, guided),
        len(padding),
        family.window,
        device,
        family.dtype,
        compiled=padded_to is not None,
    )
    rows = (model_input[row_to_trajectory], timesteps[row_to_trajectory])
    output = family.denoise(*rows, conditioning, routing)

    # Classifier-free guidance (Ho & Salimans 2022, equation 6).
    output, unconditional = output[:n], output[n : n + len(guided)]
    if guided:
        scale = to_device([trajectories[k].guidance_scale for k in guided], device)
        at = to_device(guided, device)
        output[at] = unconditional + scale[:, None, None, None] * (output[at] - unconditional)

    for k, trajectory in enumerate(trajectories):
        if (pull := trajectory.plan.pull) is not None:
            output[k] = pull.applied(output[k], x[k], trajectory.step)

    # Sampler: x at step i + 1, and the prediction of clean latents for trajectories whose early stop comes next.
    states: dict[int, State] = {}
    predicted: dict[int, Tensor] = {}
    for group, at, i in by_sampler:
        members = [trajectories[k] for k in group]
        sampler = members[0].plan.sampler
        noise = _shared_noise(members, device) if sampler.stochastic else None
        after = sampler.step(stack([t.state for t in members]), output[at], i, noise)
        states.update(zip(group, unstack(after), strict=True))
        stopping = [t.step + 1 == t.plan.early_stop_step for t in members]
        if any(stopping):
            clean = zip(group, stopping, sampler.denoised(x[at], output[at], i), strict=True)
            predicted.update({k: latents for k, stops, latents in clean if stops})

    leaders = [first for first, job in zip(_first_places(jobs), jobs, strict=True) for _ in job]
    # New trajectories, and LocalBlend between each source and its edits.
    column_sums = iter(routing.column_sums.sums[0] if routing is not None and routing.column_sums else ())
    moved = iter(
        replace(
            trajectory,
            state=_held(trajectory, states[k], states[leaders[k]]),
            step=trajectory.step + 1,
            column_sums=None if trajectory.column_sums is None else next(column_sums),
            predicted=predicted.get(k),
        )
        for k, trajectory in enumerate(trajectories)
    )
    return [blend_with_source(tuple(next(moved) for _ in job)) for job in jobs]


def blend_with_source(job: Job) -> Job:
    """Applies LocalBlend to a job after its step: z* ← (1 - α) ⊙ z + α ⊙ z* for each edit z* and its source z."""
    source, *edits = job
    plan = source.plan.blend
    if plan is None or source.column_sums is None or source.step <= plan.start:
        return job
    size = (source.state.x.shape[-2], source.state.x.shape[-1])
    background = source.plan.background
    behind = source.state if background is None else replace(source.state, x=background[source.step])
    blended_edits = []
    for edit in edits:
        assert edit.column_sums is not None
        alpha = blend_mask(source.column_sums, edit.column_sums, plan, size)
        predicted = edit.predicted
        if predicted is not None and source.predicted is not None:
            predicted = torch.where(alpha, predicted, source.predicted)
        state = blend_states(edit.state, behind, alpha)
        blended_edits.append(replace(edit, state=state, predicted=predicted))
    return (source, *blended_edits)


def _attention_of_rows(jobs: Sequence[Job], guided: Sequence[int]) -> list[RowAttention]:
    """Finds the sources of the maps of each row; a job's source is its first trajectory. ``guided`` have two rows."""
    count = sum(map(len, jobs))
    unconditional_row = {k: count + place for place, k in enumerate(guided)}
    rows = [RowAttention(k, k) for k in range(count + len(guided))]
    source = 0
    for job in jobs:
        for k, trajectory in enumerate(job, start=source):
            plan, branch = trajectory.plan, trajectory.branch
            injection = None if branch is None else branch.injection(trajectory.step)
            inject_self = injection is not None and injection.self_attention
            rows[k] = RowAttention(
                self_source=source if inject_self else k,
                cross_source=source,
                mixing=None if injection is None else plan.mixings[injection.cross],
                columns=_columns(trajectory),
                sums=trajectory.column_sums,
                self_limit=plan.self_limit,
            )
            if inject_self and plan.request.inject_unconditional and trajectory.guided:
                rows[unconditional_row[k]] = RowAttention(
                    unconditional_row[source], unconditional_row[source], self_limit=plan.self_limit
                )
        source += len(job)
    return rows


def _shifted(x: Tensor, trajectories: Sequence[Trajectory]) -> Tensor:
    """Adds the shifts of their plans to the latents (B, C, h, w) of trajectories."""
    if all(trajectory.plan.shifts is None for trajectory in trajectories):
        return x
    shifts = [
        torch.zeros_like(x[0]) if t.plan.shifts is None else t.plan.shifts[t.step] for t in trajectories
    ]
    return x + torch.stack(shifts)


def _held(trajectory: Trajectory, state: State, source: State) -> State:
    """Returns the state after a trajectory's step, given its own and its source's.

    A source that is held to stored latents takes these. Edits that follow it are moved by as much.
    """
    plan = trajectory.plan
    if plan.stored is None or (trajectory.branch is not None and not plan.follows):
        return state
    if trajectory.branch is None:
        return replace(state, x=plan.stored[trajectory.step + 1])
    return replace(state, x=state.x + (plan.stored[trajectory.step + 1] - source.x))


def _first_places(jobs: Sequence[Job]) -> list[int]:
    """Returns the places of the jobs' first trajectories among all."""
    return list(accumulate((len(job) for job in jobs[:-1]), initial=0))


def _columns(trajectory: Trajectory) -> Tensor | None:
    """Returns the columns (S, n) of its maps that are summed, or None."""
    columns = trajectory.plan.map_columns
    if columns is None:
        return None
    return columns.source if trajectory.branch is None else columns.target


def _group_by_sampler(
    trajectories: Sequence[Trajectory], device: torch.device
) -> list[tuple[list[int], Tensor, Tensor]]:
    """Groups by sampler: indices of trajectories, the same on the device, and their steps i on the device."""
    groups: dict[int, list[int]] = {}
    for k, trajectory in enumerate(trajectories):
        groups.setdefault(id(trajectory.plan.sampler), []).append(k)
    return [
        (group, to_device(group, device), to_device([trajectories[k].step for k in group], device))
        for group in groups.values()
    ]


def _shared_noise(trajectories: Sequence[Trajectory], device: torch.device) -> Tensor:
    """Draws noise (n, C, h, w) of a stochastic step, the same for all trajectories with one seed at one step."""
    keys = [(trajectory.plan.request.seed, trajectory.step) for trajectory in trajectories]
    shape = tuple(trajectories[0].state.x.shape)
    noise = {key: step_noise(*key, (shape[0], shape[1], shape[2])) for key in dict.fromkeys(keys)}
    return to_device(torch.stack([noise[key] for key in keys]), device)
