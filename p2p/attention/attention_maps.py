"""Where each word of a prompt is attended to: the maps of figure 4 of the paper, without a map in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from p2p.attention.map_columns import Watching, columns
from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.samplers import Sampler
from p2p.sweep.batch_size import MIN_BATCH_ROWS
from p2p.sweep.executor import regroup, start
from p2p.sweep.request import SweepRequest
from p2p.sweep.step import advance
from p2p.sweep.sweep_plan import make_plan, watch
from p2p.sweep.trajectory import Walker
from p2p.text.words import TokenizedPrompt


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """The share of the pixels' attention that each word of a prompt gets: the sum over its tokens.

    It is averaged over the heads and over the layers with maps of the size that ``map_columns.map_size`` says (16×16
    for Stable Diffusion 1 at 512 pixels, as in the paper's figures), and enlarged bilinearly.

    Attributes:
        words: the n words, in the prompt's order; a word that comes twice is there twice.
        maps: (n, H, W) fp32 in [0, 1]; averaged over all steps.
        groups: (g, n, H, W) fp32; averaged over each of g runs of steps, the noisiest first.
        image: (H, W, 3) uint8; what was generated.
    """

    words: tuple[str, ...]
    maps: NDArray[np.float32]
    groups: NDArray[np.float32]
    image: NDArray[np.uint8]


def attention_maps(
    family: Family, request: SweepRequest, sampler: Callable[[str, int], Sampler], groups: int
) -> AttentionMaps:
    """Denoise the request's source and watch its words.

    Raises:
        P2PError: a request that cannot be carried out, or more groups than steps.
    """
    if not 1 <= groups <= request.steps:
        raise P2PError(f"groups = {groups} is not in 1 to {request.steps}, the steps")
    prompt = family.tokenize(family.fit(request.source) if request.too_long == "truncate" else request.source)
    said = columns(prompt, [word.tokens for word in prompt.words])
    watching = watch(family, said, said)
    plan = replace(make_plan(0, request, family, sampler), watching=watching)
    walker = Walker(plan, plan.starting, 0, seen=watching.nothing())
    ends = [round((k + 1) * request.steps / groups) for k in range(groups)]
    sums: list[Tensor] = [watching.nothing()]
    for step in range(request.steps):
        ((walker,),) = advance(family, [(walker,)])
        assert walker.seen is not None
        if step + 1 in ends:
            sums.append(walker.seen)
    image = family.decoder(walker.state.x[None])[0]
    lengths = torch.tensor(ends, device=family.device).diff(
        prepend=torch.zeros(1, device=family.device).long()
    )
    averages = torch.stack(sums).diff(dim=0) / (lengths * watching.layers)[:, None, None]
    whole = _enlarged(sums[-1][None] / (request.steps * watching.layers), watching, image)
    words = tuple(word.text for word in prompt.words)
    return AttentionMaps(words, whole[0], _enlarged(averages, watching, image), image)


def edit_maps(
    family: Family, request: SweepRequest, sampler: Callable[[str, int], Sampler]
) -> tuple[AttentionMaps, AttentionMaps]:
    """Denoise a request's source and beside it its edit at its one τ, and watch the words of both, over all steps.

    The edit's maps are its own, M* of algorithm 1, as they are before the source's take their place.

    Raises:
        P2PError: a request that cannot be carried out, with several τ, with a blend or of another method.
    """
    if request.method != "p2p" or len(request.taus) != 1 or request.local_blend is not None:
        raise P2PError("attention maps of an edit take method='p2p', one τ, and no blend")
    plan = make_plan(0, request, family, sampler)
    fitted = (request.source, request.target)
    if request.too_long == "truncate":
        fitted = (family.fit(request.source), family.fit(request.target))
    prompts = tuple(map(family.tokenize, fitted))
    n = max(len(prompt.words) for prompt in prompts)
    said = [
        F.pad(columns(prompt, [word.tokens for word in prompt.words]), (0, n - len(prompt.words)))
        for prompt in prompts
    ]
    watching = watch(family, *said)
    jobs, ends = start(replace(plan, watching=watching), MIN_BATCH_ROWS), dict[bool, Walker]()
    while jobs:
        moved = advance(family, jobs)
        ends |= {one.branch is None: one for job in moved for one in job if one.step == request.steps}
        jobs = [part for job in moved for part in regroup(job, MIN_BATCH_ROWS)]

    def maps(prompt: TokenizedPrompt, end: Walker) -> AttentionMaps:
        assert end.seen is not None
        image = family.decoder(end.state.x[None])[0]
        average = end.seen[None, :, : len(prompt.words)] / (request.steps * watching.layers)
        enlarged = _enlarged(average, watching, image)
        return AttentionMaps(tuple(word.text for word in prompt.words), enlarged[0], enlarged, image)

    return maps(prompts[0], ends[True]), maps(prompts[1], ends[False])


def _enlarged(seen: Tensor, watching: Watching, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(g, n, H, W) of averages (g, P, n)."""
    maps = seen.mT.reshape(len(seen), -1, *watching.size)
    return F.interpolate(maps, image.shape[:2], mode="bilinear", align_corners=False).cpu().numpy()
