"""Attention maps of the words of a prompt (Hertz et al. 2022, figure 4), summed without storing a map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from p2p.attention.map_columns import MapColumns, word_columns
from p2p.errors import P2PError
from p2p.families.family import Family
from p2p.inversion.image_inversion import ImageInversions
from p2p.samplers.sampler import MakeSampler
from p2p.sweep.batch_size import MIN_BATCH_ROWS
from p2p.sweep.denoising_step import advance
from p2p.sweep.executor import regroup, start_jobs
from p2p.sweep.inversion_barrier import invert
from p2p.sweep.request import SweepRequest
from p2p.sweep.sweep_plan import SweepPlan, make_map_columns, make_plan
from p2p.sweep.trajectory import Job, Trajectory
from p2p.text.words import TokenizedPrompt


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Share of each pixel's attention that each word of a prompt gets: the sum over its tokens.

    It is averaged over heads and over the layers with maps of the size that ``map_size`` chooses (16×16 for Stable
    Diffusion 1 at 512 pixels, as in the paper's figures), and enlarged bilinearly.

    Attributes:
        words: the n words in the prompt's order; a repeated word is repeated here.
        maps: (n, H, W) fp32 in [0, 1]; averaged over all steps.
        groups: (g, n, H, W) fp32; averaged over each of g consecutive groups of steps, the noisiest first.
        image: (H, W, 3) uint8; the generated image.
    """

    words: tuple[str, ...]
    maps: NDArray[np.float32]
    groups: NDArray[np.float32]
    image: NDArray[np.uint8]


def attention_maps(family: Family, request: SweepRequest, sampler: MakeSampler, groups: int) -> AttentionMaps:
    """Denoises the request's source and averages the maps of its words, over all steps and over ``groups`` of steps.

    Raises:
        P2PError: a request that cannot be carried out, or more groups than steps.
    """
    if not 1 <= groups <= request.steps:
        raise P2PError(f"groups = {groups} is not in 1 to {request.steps}, the number of steps")
    prompt = _tokenize(family, request, request.source)
    columns = word_columns(prompt, [word.tokens for word in prompt.words])
    map_columns = make_map_columns(family, columns, columns)
    plan = replace(make_plan(0, request, family, sampler), map_columns=map_columns)
    source = Trajectory(plan, plan.starting, 0, column_sums=map_columns.zero_sums())
    ends = [round((k + 1) * request.steps / groups) for k in range(groups)]
    sums: list[Tensor] = [map_columns.zero_sums()]
    for step in range(request.steps):
        ((source,),) = advance(family, [(source,)])
        assert source.column_sums is not None
        if step + 1 in ends:
            sums.append(source.column_sums)
    image = family.decoder(source.state.x[None])[0]
    lengths = torch.tensor(ends, device=family.device).diff(
        prepend=torch.zeros(1, device=family.device).long()
    )
    averages = torch.stack(sums).diff(dim=0) / (lengths * map_columns.layers)[:, None, None]
    total = _enlarge(sums[-1][None] / (request.steps * map_columns.layers), map_columns, image)
    words = tuple(word.text for word in prompt.words)
    return AttentionMaps(words, total[0], _enlarge(averages, map_columns, image), image)


def edit_maps(
    family: Family, request: SweepRequest, sampler: MakeSampler
) -> tuple[AttentionMaps, AttentionMaps]:
    """Denoises a request's source and the edit at its one τ, and averages the maps of their words over all steps.

    The edit's maps are its own, M* of algorithm 1, before the source's replace them.

    Raises:
        P2PError: a request that cannot be carried out, with several τ, with a blend or of another method.
    """
    if request.method != "p2p" or len(request.taus) != 1 or request.local_blend is not None:
        raise P2PError("attention maps of an edit need method='p2p', one τ, and no blend")
    plan = ImageInversions(family).attach(make_plan(0, request, family, sampler))
    prompts = [_tokenize(family, request, prompt) for prompt in (request.source, request.target)]
    n = max(len(prompt.words) for prompt in prompts)
    columns = [
        F.pad(word_columns(prompt, [word.tokens for word in prompt.words]), (0, n - len(prompt.words)))
        for prompt in prompts
    ]
    map_columns = make_map_columns(family, *columns)
    # The step of an early stop keeps a source whose latents are stored until then.
    plan = replace(invert(family, plan), map_columns=map_columns, early_stop_step=request.steps)
    source, edit = _denoise(family, plan)

    def maps(prompt: TokenizedPrompt, final: Trajectory) -> AttentionMaps:
        assert final.column_sums is not None
        image = family.decoder(final.state.x[None])[0]
        average = final.column_sums[None, :, : len(prompt.words)] / (request.steps * map_columns.layers)
        enlarged = _enlarge(average, map_columns, image)
        return AttentionMaps(tuple(word.text for word in prompt.words), enlarged[0], enlarged, image)

    return maps(prompts[0], source), maps(prompts[1], edit)


def _tokenize(family: Family, request: SweepRequest, prompt: str) -> TokenizedPrompt:
    return family.tokenize(prompt, request.too_long == "truncate")


def _denoise(family: Family, plan: SweepPlan) -> tuple[Trajectory, Trajectory]:
    """Denoises the source and the one edit of a plan to the end."""
    jobs: list[Job] = start_jobs(plan, MIN_BATCH_ROWS)
    final: dict[tuple[int, ...], Trajectory] = {}
    while jobs:
        moved = advance(family, jobs)
        final |= {
            trajectory.members: trajectory for job in moved for trajectory in job if trajectory.finished
        }
        jobs = [part for job in moved for part in regroup(job, MIN_BATCH_ROWS)]
    return final[()], final[(0,)]


def _enlarge(averages: Tensor, map_columns: MapColumns, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Enlarges averages (g, P, n) to maps (g, n, H, W) fp32, bilinearly."""
    maps = averages.mT.reshape(len(averages), -1, *map_columns.size)
    return F.interpolate(maps, image.shape[:2], mode="bilinear", align_corners=False).cpu().numpy()
