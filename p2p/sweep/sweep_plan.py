"""Plan of a request: encoded prompts, matrices, the tree of branches, starting noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from p2p.attention.edit_matrices import CrossEdit, cross_edit
from p2p.attention.local_blend import BlendPlan, blend_columns
from p2p.attention.map_columns import MapColumns, map_size
from p2p.attention.routing import Mixing
from p2p.device_transfer import to_device
from p2p.errors import P2PError
from p2p.families.family import Conditioning, Family
from p2p.models.model_limits import ModelLimits
from p2p.samplers.sampler import MakeSampler, Sampler, State
from p2p.sweep.noise import starting_noise
from p2p.sweep.request import SweepRequest
from p2p.sweep.tree import Branch, InjectionTiming, first_steps, grow_branches, injected_steps, make_schedules


@dataclass(frozen=True, eq=False)
class Pull:
    """Draws the velocities of a flow to latents: v ← v + η (u − v), where u leads straight there.

    ``strength`` (T,) is η at each step, and ``distance`` (T,) the time that is left to the target.
    """

    target: Tensor
    strength: Tensor
    distance: Tensor

    def applied(self, v: Tensor, x: Tensor, step: int) -> Tensor:
        """Returns the velocity for latents x before a step."""
        return v + self.strength[step] * ((self.target - x) / self.distance[step] - v)


class Inversion(Protocol):
    """Inversion of an image, which several plans may share.

    Attributes:
        plan: goes the steps backwards, from the image's latents to noise.
        trajectory: (T + 1, C, h, w) fp32; the latents before each step and those of the image. None until they are
            found.
    """

    plan: SweepPlan
    trajectory: Tensor | None

    def prepare(self, plan: SweepPlan) -> SweepPlan:
        """Makes the plan that starts from the trajectory, of a plan that waited for it."""


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """A request with everything that its trajectories need.

    Attributes:
        index: of the request among those that are swept together.
        request: the request.
        sampler: shared by all plans with the same sampler and number of steps.
        branches: roots of the tree of edits.
        source: conditioning of the source, ``target`` that of the edits, ``unconditional`` that of
            unconditional rows at each step.
        mixings: cross-attention of an edit for each ``Injection.cross`` that occurs, None without an effect.
        starting: the sampler's state at step 0.
        guided: for each step, whether its edits have an unconditional row.
        map_columns: columns of maps that are summed, for ``blend`` or for attention maps, or None.
        blend: LocalBlend, or None.
        restarts: branches that start from the finished source.
        early_stop_step: the step before which the early stop comes, or None.
        self_limit: most pixels of a layer whose self-attention is injected.
        last_start: the step from which on no injection starts.
        inversion: of the request's image; it must be finished before the plan starts. None without an image, and in the
            plan that ``Inversion.prepare`` makes.
        inverts: whether it is the plan of an ``Inversion``.
        source_guided: whether the source has unconditional rows at the steps of ``guided``.
        stored: latents (T + 1, C, h, w) before each step and after the last that the source is held to, or None. Only
            the last is used if nothing but ``restarts`` is made.
        shifts: (T, C, h, w) that are added to all latents of a step for the denoiser, or None.
        forks: branches that leave the source at their start, from its latents.
        follows: whether edits are moved by as much as a source is that is held to ``stored``.
        source_guidance: guidance scale of the source, None for that of the edits.
        background: latents (T + 1, C, h, w), as ``stored``, that LocalBlend takes for the source's, or None.
        pull: of all velocities of a flow, or None.
        prepared_rows: rows of the denoiser that were evaluated to prepare it.
    """

    index: int
    request: SweepRequest
    sampler: Sampler
    branches: tuple[Branch, ...]
    source: Conditioning
    target: Conditioning
    unconditional: tuple[Conditioning, ...]
    mixings: Mapping[tuple[bool, ...], Mixing | None]
    starting: State
    guided: tuple[bool, ...]
    map_columns: MapColumns | None
    blend: BlendPlan | None
    restarts: tuple[Branch, ...] = ()
    early_stop_step: int | None = None
    self_limit: float = math.inf
    last_start: int = 0
    inversion: Inversion | None = None
    inverts: bool = False
    source_guided: bool = True
    stored: Tensor | None = None
    background: Tensor | None = None
    pull: Pull | None = None
    prepared_rows: int = 0
    shifts: Tensor | None = None
    forks: tuple[Branch, ...] = ()
    follows: bool = False
    source_guidance: float | None = None


def make_plan(index: int, request: SweepRequest, family: Family, sampler: MakeSampler) -> SweepPlan:
    """Plans a request for a family.

    Args:
        index: of the request among those that are swept together.
        request: the request.
        family: the denoiser with its text encoder.
        sampler: makes the sampler.

    Raises:
        P2PError: unknown words, a prompt that is too long, starting noise of another shape, too many steps, an option
            without effect on this model.
    """
    _check_limits(request, family)
    cut = request.too_long == "truncate"
    source, target = (family.tokenize(prompt, cut) for prompt in (request.source, request.target))
    edit = cross_edit(source, target, request.edit, request.reweight or {}, request.only, request.alignment)
    words = {target.tokens_of(word, "word_taus"): tau for word, tau in (request.word_taus or {}).items()}
    # A word that takes nothing from the source has no injection to end.
    words = {tokens: tau for tokens, tau in words.items() if edit.R[:, list(tokens)].any()}
    timing = InjectionTiming(
        request.cross_gain,
        request.self_gain,
        request.steps,
        request.rounding,
        request.start,
        request.self_tau,
    )
    sweep = make_schedules(request.taus, list(words.values()), timing)
    states = {injection.cross for schedule in sweep for injection in schedule}
    step_sampler = sampler(request.sampler, request.steps, request.spacing)
    noise = to_device(_starting(request, family.latent_shape), family.device)
    source_text, target_text = (family.encode(prompt, cut) for prompt in (request.source, request.target))
    if request.pooled == "source":
        target_text = (target_text[0], *source_text[1:])
    unconditional = _unconditional(request, family, cut)
    if family.embeds_guidance:
        guidance = torch.tensor(request.guidance_scale, device=family.device)
        source_text, target_text = (*source_text, guidance), (*target_text, guidance)
    map_columns, blend = None, None
    if (option := request.local_blend) is not None:
        map_columns = make_map_columns(family, *blend_columns(option, source, target))
        truncates = request.rounding == "google"
        blend_start = injected_steps(1.0, option.start, request.steps, "google" if truncates else "nearest")
        blend = BlendPlan(map_columns.size, option.threshold, blend_start, option.interpolation)
    return SweepPlan(
        index=index,
        request=request,
        sampler=step_sampler,
        branches=grow_branches(sweep),
        source=source_text,
        target=target_text,
        unconditional=(unconditional,) * request.steps,
        guided=_guided(request, family, step_sampler),
        map_columns=map_columns,
        blend=blend,
        mixings={
            cross: _mixing(edit, cross, list(words), family, request.reweight_steps) for cross in states
        },
        starting=step_sampler.start(noise),
        self_limit=_self_limit(request, family),
        last_start=max(first_steps(request.start, request.steps, request.rounding)),
    )


def _unconditional(request: SweepRequest, family: Family, cut: bool) -> Conditioning:
    """Encodes the negative prompt, or the family's empty one. Raises P2PError if it is too long."""
    if request.negative_prompt is None:
        return family.unconditional()
    return family.encode(request.negative_prompt, cut)


def _check_limits(request: SweepRequest, family: Family) -> None:
    """Raises P2PError for an option that the family cannot carry out."""
    least_size = 0.0
    if request.self_max_size is not None:
        _, height, width = family.latent_shape
        least_size = math.sqrt(min(h * w for h, w in family.map_layers) / (height * width))
    size = None if request.image is None else image_size(family)
    limits = ModelLimits(not family.embeds_guidance, least_size, size)
    limits.check(request.negative_prompt, request.guidance_interval, request.self_max_size)
    if request.image is not None:
        limits.check_image((len(request.image), len(request.image[0])), request.inversion)


def image_size(family: Family) -> tuple[int, int]:
    """Computes the height and width in pixels of a family's images."""
    _, height, width = family.latent_shape
    return height * family.decoder.pixels_per_latent, width * family.decoder.pixels_per_latent


def _self_limit(request: SweepRequest, family: Family) -> float:
    """Computes the most pixels of a layer with self-injection, infinite if that is all layers."""
    if request.self_max_size is None:
        return math.inf
    _, height, width = family.latent_shape
    limit = request.self_max_size**2 * height * width + 1e-6
    return limit if limit < max(h * w for h, w in family.map_layers) else math.inf


def _guided(request: SweepRequest, family: Family, sampler: Sampler) -> tuple[bool, ...]:
    """Finds the steps at which guidance needs an unconditional row."""
    if request.guidance_interval is None:
        return (request.guided and not family.embeds_guidance,) * request.steps
    low, high = request.guidance_interval
    return tuple(request.guided and low < level <= high for level in sampler.noise_level.tolist())


def make_map_columns(family: Family, source: Tensor, target: Tensor) -> MapColumns:
    """Moves columns (S, n) of source and target to the device, for the layers of the size that ``map_size`` chooses."""
    size = map_size((family.latent_shape[1], family.latent_shape[2]), list(family.map_layers))
    return MapColumns(source.to(family.device), target.to(family.device), size, family.map_layers[size])


def _mixing(
    edit: CrossEdit,
    cross: tuple[bool, ...],
    words: list[tuple[int, ...]],
    family: Family,
    reweight_steps: str,
) -> Mixing | None:
    """Makes the matrices for an ``Injection.cross``, None without effect. ``words`` are tokens with τ of their own."""
    injected = torch.full((len(edit.c),), cross[0])
    for tokens, on in zip(words, cross[1:], strict=True):
        injected[list(tokens)] = on
    edit = edit.released((~injected).nonzero().flatten().tolist())
    if reweight_steps == "injected":
        edit = replace(edit, c=torch.where(injected, edit.c, 1.0))
    if not edit.R.any() and bool((edit.D * edit.c == 1).all()):
        return None
    Rc = (edit.R * edit.c).to(family.device, family.dtype) if edit.R.any() else None
    Dc = (edit.D * edit.c)[:, None].to(family.device, family.dtype) if edit.D.any() else None
    return Mixing(Rc, Dc)


def _starting(request: SweepRequest, shape: tuple[int, int, int]) -> Tensor:
    if request.latents is None:
        return starting_noise(request.seed, shape)
    if not isinstance(request.latents, Tensor):
        raise P2PError(f"latents are a {type(request.latents).__name__}, not a tensor of torch")
    if tuple(request.latents.shape) != shape:
        raise P2PError(f"latents have shape {tuple(request.latents.shape)}; the model needs {shape}")
    return request.latents.detach().float().cpu()
