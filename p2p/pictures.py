"""Where each word of a prompt is attended to: the maps of figure 4 of the paper, without a map in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from p2p.batch import advance
from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.plan import make_plan, watch
from p2p.request import SweepRequest
from p2p.samplers import Sampler
from p2p.walker import Walker
from p2p.watching import columns


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """The share of the pixels' attention that each word of a prompt gets: the sum over its tokens.

    It is averaged over the heads and over the layers with maps of the size that ``p2p.watching.map_size`` says (16×16
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
    whole = sums[-1][None] / (request.steps * watching.layers)

    def pictures(seen: Tensor) -> NDArray[np.float32]:
        maps = seen.mT.reshape(len(seen), -1, *watching.size)
        enlarged = F.interpolate(maps, image.shape[:2], mode="bilinear", align_corners=False)
        return enlarged.cpu().numpy()

    words = tuple(word.text for word in prompt.words)
    return AttentionMaps(words, pictures(whole)[0], pictures(averages), image)
