"""Runs the adaptive sweep over the pairs of a unit: the pairs advance together, one batched sweep a round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from p2p.sweep.tree import count_evaluations
from stages.candidates.adaptive import Trial, make_trial, next_round, with_kind_prior
from stages.candidates.requests import make_request
from stages.candidates.scoring import Scorer, SeedRequest, SweptSeed
from stages.records import CaptionPair


@dataclass
class _Progress:
    """A caption pair in the rounds: its trials, and the parts of each seed by sample index."""

    pair: CaptionPair
    settings: AdaptiveSweep
    trials: list[Trial] = field(default_factory=list)
    seeds: dict[int, list[SweptSeed]] = field(default_factory=dict)


def sweep_in_rounds(
    pairs: Sequence[CaptionPair],
    config: Config,
    scorer: Scorer,
    sweep: Callable[[Sequence[SeedRequest]], list[SweptSeed]],
) -> list[list[SweptSeed]]:
    """Sweeps until every pair is done. For each pair its seeds, each with all its τ, in the order of the samples.

    ``sweep`` runs the requests in shared batches and scores the edits.
    """
    settings, edit, sampler = config.sweep, config.edit, config.sampler
    assert isinstance(settings, AdaptiveSweep)

    def cost(taus: tuple[float, ...]) -> float:
        return count_evaluations(
            taus,
            edit.cross_gain,
            edit.self_gain,
            sampler.steps,
            edit.rounding.value,
            edit.start or 0.0,
            edit.self_tau,
        )

    progress = [_Progress(pair, with_kind_prior(settings, pair)) for pair in pairs]
    while True:
        # A pair that is done stays done, because its trials do not change.
        tries = [
            (pair, sample, taus)
            for pair in progress
            for sample, taus in next_round(
                pair.trials, pair.settings, config.filter.max_per_pair, cost
            ).items()
        ]
        if not tries:
            return [[merge_parts(pair.seeds[sample]) for sample in sorted(pair.seeds)] for pair in progress]
        requests = [
            (pair.pair, sample, make_request(pair.pair, config, sample, taus, sampler.guidance))
            for pair, sample, taus in tries
        ]
        for (pair, sample, _), seed in zip(tries, sweep(requests), strict=True):
            pair.seeds.setdefault(sample, []).append(seed)
            pair.trials += [
                make_trial(sample, candidate.tau, vars(candidate), reason, scorer.thresholds)
                for candidate, reason in zip(seed.candidates, scorer.verdicts(seed.candidates), strict=True)
            ]


def merge_parts(parts: Sequence[SweptSeed]) -> SweptSeed:
    """Merges the parts of a seed that were swept in several rounds.

    The source is that of the first part that finished it. The sources of the others differ by rounding alone.
    """
    sweeps = [part.sweep for part in parts]
    starts = np.cumsum([0, *(len(sweep.edits) for sweep in sweeps)])
    finished = (sweep for sweep in sweeps if len(sweep.stopped) < len(sweep.edits))
    sweep = replace(
        next(finished, sweeps[0]),
        edits=np.concatenate([sweep.edits for sweep in sweeps]),
        edit_latents=torch.cat([sweep.edit_latents for sweep in sweeps]),
        rows=sum(sweep.rows for sweep in sweeps),
        stopped=tuple(
            int(start) + k for start, sweep in zip(starts, sweeps, strict=False) for k in sweep.stopped
        ),
    )
    taus = tuple(tau for part in parts for tau in part.request.taus)
    candidates = tuple(candidate for part in parts for candidate in part.candidates)
    return SweptSeed(replace(parts[0].request, taus=taus), sweep, candidates)
