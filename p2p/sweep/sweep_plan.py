"""A request made ready to run: prompts encoded, matrices built, the tree grown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from p2p.attention.algebra import CrossEdit, cross_edit
from p2p.attention.local_blend import BlendPlan, watched_columns
from p2p.attention.map_columns import Watching, map_size
from p2p.errors import P2PError
from p2p.families.family import Conditioning, Family
from p2p.samplers import Sampler, State
from p2p.sweep.noise import starting_noise
from p2p.sweep.request import SweepRequest
from p2p.sweep.transfer import to_device
from p2p.sweep.tree import Branch, grow, injected_steps, schedules


@dataclass(frozen=True, eq=False)
class Mixing:
    """One row's cross-attention: Rc = R diag(c) (S, S) and Dc = D·c (S, 1), each None where R or D is zero."""

    Rc: Tensor | None
    Dc: Tensor | None


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """A request with all that its rows need.

    ``mixings`` has the cross-attention for each state of injection that occurs, None where a row is left alone;
    ``starting`` is the sampler's state at step 0; ``guided`` says of every step whether rows have an unguided one
    beside them; ``watching`` the words that are watched, and ``blend`` what that is for in a sweep. ``restarts`` are
    branches that set out from the finished source. ``look`` is the step at which the tree is looked at, None for never.
    """

    index: int
    request: SweepRequest
    sampler: Sampler
    branches: tuple[Branch, ...]
    source: Conditioning
    target: Conditioning
    unguided: Conditioning
    mixings: Mapping[tuple[bool, ...], Mixing | None]
    starting: State
    guided: tuple[bool, ...]
    watching: Watching | None
    blend: BlendPlan | None
    restarts: tuple[Branch, ...] = ()
    look: int | None = None


def make_plan(
    index: int, request: SweepRequest, family: Family, sampler: Callable[[str, int], Sampler]
) -> SweepPlan:
    """Plan a request for a family.

    Args:
        index: the request's place among those that run together.
        request: what is asked for.
        family: the denoiser with its text encoder.
        sampler: gives the sampler for a name and a number of steps.

    Raises:
        P2PError: unknown words, prompts that are too long, starting noise of another shape, too many steps.
    """
    prompts = (request.source, request.target)
    if request.too_long == "truncate":
        prompts = (family.fit(request.source), family.fit(request.target))
    source, target = map(family.tokenize, prompts)
    edit = cross_edit(source, target, request.edit, request.reweight or {}, request.only, request.alignment)
    words = {target.tokens_of(word, "word_taus"): tau for word, tau in (request.word_taus or {}).items()}
    # A word that takes nothing from the source has no injection that could end.
    words = {tokens: tau for tokens, tau in words.items() if edit.R[:, list(tokens)].any()}
    sweep = schedules(
        request.taus,
        list(words.values()),
        request.cross_gain,
        request.self_gain,
        request.steps,
        request.rounding,
    )
    states = {injection.cross for schedule in sweep for injection in schedule}
    chosen = sampler(request.sampler, request.steps)
    noise = to_device(_starting(request, family.latent_shape), family.device)
    source_said, target_said = map(family.encode, prompts)
    if request.pooled == "source":
        target_said = (target_said[0], *source_said[1:])
    unguided = family.unconditional()
    if family.embeds_guidance:
        guidance = torch.tensor(request.guidance_scale, device=family.device)
        source_said, target_said = (*source_said, guidance), (*target_said, guidance)
    watching, blend = None, None
    if (wanted := request.local_blend) is not None:
        watching = watch(family, *watched_columns(wanted, source, target))
        blend = BlendPlan(watching.size, wanted.threshold, injected_steps(1.0, wanted.start, request.steps))
    return SweepPlan(
        index=index,
        request=request,
        sampler=chosen,
        branches=grow(sweep),
        source=source_said,
        target=target_said,
        unguided=unguided,
        guided=_guided(request, family, chosen),
        watching=watching,
        blend=blend,
        mixings={cross: _mixing(edit, cross, list(words), family) for cross in states},
        starting=chosen.start(noise),
    )


def _guided(request: SweepRequest, family: Family, sampler: Sampler) -> tuple[bool, ...]:
    """Of every step, whether it has guidance that takes a row of its own."""
    if request.guidance_interval is None:
        return (request.guided and not family.embeds_guidance,) * request.steps
    if family.embeds_guidance:
        raise P2PError(
            "guidance_interval is not for a model that is given guidance as a number; leave it out"
        )
    low, high = request.guidance_interval
    return tuple(request.guided and low < level <= high for level in sampler.noise_level.tolist())


def watch(family: Family, source: Tensor, target: Tensor) -> Watching:
    """Columns of source and target (S, n) watched in the layers of one size."""
    size = map_size((family.latent_shape[1], family.latent_shape[2]), list(family.map_layers))
    return Watching(source.to(family.device), target.to(family.device), size, family.map_layers[size])


def _mixing(
    edit: CrossEdit, cross: tuple[bool, ...], words: list[tuple[int, ...]], family: Family
) -> Mixing | None:
    """The matrices while injection is on for ``cross[0]``, all tokens, or ``cross[1:]``, those of ``words``."""
    injected = torch.full((len(edit.c),), cross[0])
    for tokens, on in zip(words, cross[1:], strict=True):
        injected[list(tokens)] = on
    now = edit.released((~injected).nonzero().flatten().tolist())
    if not now.R.any() and bool((now.D * now.c == 1).all()):
        return None
    Rc = (now.R * now.c).to(family.device, family.dtype) if now.R.any() else None
    Dc = (now.D * now.c)[:, None].to(family.device, family.dtype) if now.D.any() else None
    return Mixing(Rc, Dc)


def _starting(request: SweepRequest, shape: tuple[int, int, int]) -> Tensor:
    if request.latents is None:
        return starting_noise(request.seed, shape)
    if tuple(request.latents.shape) != shape:
        raise P2PError(f"latents are of shape {tuple(request.latents.shape)}; the model's are {shape}")
    return request.latents.detach().float().cpu()
