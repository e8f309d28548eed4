"""Plan of a request: encoded prompts, matrices, the tree of branches, starting noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.attention.edit_matrices import CrossEdit, cross_edit
from p2p.attention.local_blend import BlendPlan, blend_columns
from p2p.attention.map_columns import MapColumns, map_size
from p2p.attention.routing import Mixing
from p2p.device_transfer import to_device
from p2p.errors import P2PError
from p2p.families.family import Conditioning, Family
from p2p.samplers.sampler import Sampler, State
from p2p.sweep.noise import starting_noise
from p2p.sweep.request import SweepRequest
from p2p.sweep.tree import Branch, grow_branches, injected_steps, make_schedules


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """A request with everything that its trajectories need.

    Attributes:
        index: of the request among those that are swept together.
        request: the request.
        sampler: shared by all plans with the same sampler and number of steps.
        branches: roots of the tree of edits.
        source: conditioning of the source, ``target`` that of the edits, ``unconditional`` that of unconditional rows.
        mixings: cross-attention of an edit for each ``Injection.cross`` that occurs, None without an effect.
        starting: the sampler's state at step 0.
        guided: for each step, whether its trajectories have an unconditional row.
        map_columns: columns of maps that are summed, for ``blend`` or for attention maps, or None.
        blend: LocalBlend, or None.
        restarts: branches that start from the finished source.
        early_stop_step: the step before which the early stop comes, or None.
    """

    index: int
    request: SweepRequest
    sampler: Sampler
    branches: tuple[Branch, ...]
    source: Conditioning
    target: Conditioning
    unconditional: Conditioning
    mixings: Mapping[tuple[bool, ...], Mixing | None]
    starting: State
    guided: tuple[bool, ...]
    map_columns: MapColumns | None
    blend: BlendPlan | None
    restarts: tuple[Branch, ...] = ()
    early_stop_step: int | None = None


def make_plan(
    index: int, request: SweepRequest, family: Family, sampler: Callable[[str, int], Sampler]
) -> SweepPlan:
    """Plans a request for a family.

    Args:
        index: of the request among those that are swept together.
        request: the request.
        family: the denoiser with its text encoder.
        sampler: makes the sampler for a name and a number of steps.

    Raises:
        P2PError: unknown words, a prompt that is too long, starting noise of another shape, too many steps.
    """
    prompts = (request.source, request.target)
    if request.too_long == "truncate":
        prompts = (family.fit(request.source), family.fit(request.target))
    source, target = map(family.tokenize, prompts)
    edit = cross_edit(source, target, request.edit, request.reweight or {}, request.only, request.alignment)
    words = {target.tokens_of(word, "word_taus"): tau for word, tau in (request.word_taus or {}).items()}
    # A word that takes nothing from the source has no injection to end.
    words = {tokens: tau for tokens, tau in words.items() if edit.R[:, list(tokens)].any()}
    sweep = make_schedules(
        request.taus,
        list(words.values()),
        request.cross_gain,
        request.self_gain,
        request.steps,
        request.rounding,
    )
    states = {injection.cross for schedule in sweep for injection in schedule}
    step_sampler = sampler(request.sampler, request.steps)
    noise = to_device(_starting(request, family.latent_shape), family.device)
    source_text, target_text = map(family.encode, prompts)
    if request.pooled == "source":
        target_text = (target_text[0], *source_text[1:])
    unconditional = family.unconditional()
    if family.embeds_guidance:
        guidance = torch.tensor(request.guidance_scale, device=family.device)
        source_text, target_text = (*source_text, guidance), (*target_text, guidance)
    map_columns, blend = None, None
    if (option := request.local_blend) is not None:
        map_columns = make_map_columns(family, *blend_columns(option, source, target))
        blend_start = injected_steps(1.0, option.start, request.steps)
        blend = BlendPlan(map_columns.size, option.threshold, blend_start)
    return SweepPlan(
        index=index,
        request=request,
        sampler=step_sampler,
        branches=grow_branches(sweep),
        source=source_text,
        target=target_text,
        unconditional=unconditional,
        guided=_guided(request, family, step_sampler),
        map_columns=map_columns,
        blend=blend,
        mixings={cross: _mixing(edit, cross, list(words), family) for cross in states},
        starting=step_sampler.start(noise),
    )


def _guided(request: SweepRequest, family: Family, sampler: Sampler) -> tuple[bool, ...]:
    """Finds the steps at which guidance needs an unconditional row. Raises P2PError as ``make_plan``."""
    if request.guidance_interval is None:
        return (request.guided and not family.embeds_guidance,) * request.steps
    if family.embeds_guidance:
        raise P2PError(
            "guidance_interval does not work with a model that embeds the guidance scale; remove it"
        )
    low, high = request.guidance_interval
    return tuple(request.guided and low < level <= high for level in sampler.noise_level.tolist())


def make_map_columns(family: Family, source: Tensor, target: Tensor) -> MapColumns:
    """Moves columns (S, n) of source and target to the device, for the layers of the size that ``map_size`` chooses."""
    size = map_size((family.latent_shape[1], family.latent_shape[2]), list(family.map_layers))
    return MapColumns(source.to(family.device), target.to(family.device), size, family.map_layers[size])


def _mixing(
    edit: CrossEdit, cross: tuple[bool, ...], words: list[tuple[int, ...]], family: Family
) -> Mixing | None:
    """Makes the matrices for an ``Injection.cross``, None without effect. ``words`` are tokens with τ of their own."""
    injected = torch.full((len(edit.c),), cross[0])
    for tokens, on in zip(words, cross[1:], strict=True):
        injected[list(tokens)] = on
    edit = edit.released((~injected).nonzero().flatten().tolist())
    if not edit.R.any() and bool((edit.D * edit.c == 1).all()):
        return None
    Rc = (edit.R * edit.c).to(family.device, family.dtype) if edit.R.any() else None
    Dc = (edit.D * edit.c)[:, None].to(family.device, family.dtype) if edit.D.any() else None
    return Mixing(Rc, Dc)


def _starting(request: SweepRequest, shape: tuple[int, int, int]) -> Tensor:
    if request.latents is None:
        return starting_noise(request.seed, shape)
    if tuple(request.latents.shape) != shape:
        raise P2PError(f"latents have shape {tuple(request.latents.shape)}; the model needs {shape}")
    return request.latents.detach().float().cpu()
