"""Runs the adaptive sweep over the pairs of a unit: the pairs advance together, one batched sweep a round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

import p2p
from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from p2p.sweep.tree import evaluations
from stages.candidates.adaptive import Stop, Trial, make_trial, next_round
from stages.candidates.priors import with_kind_prior
from stages.candidates.requests import make_request
from stages.candidates.scoring import Scorer, SweptSeed, join_scores
from stages.records import CaptionPair

SweepRequests = Callable[[Sequence[tuple[CaptionPair, p2p.SweepRequest]]], list[SweptSeed]]
"""Sweeps the requests in shared batches and scores the edits."""


@dataclass
class _Progress:
    """A caption pair in the rounds: its trials, and the parts of each seed by sample index."""

    pair: CaptionPair
    settings: AdaptiveSweep
    trials: list[Trial] = field(default_factory=list)
    seeds: dict[int, list[SweptSeed]] = field(default_factory=dict)


def sweep_in_rounds(
    pairs: Sequence[CaptionPair], config: Config, scorer: Scorer, sweep: SweepRequests
) -> list[list[SweptSeed]]:
    """Sweeps until every pair is done. For each pair its seeds, each with all its τ, in the order of the samples."""
    settings, edit, sampler = config.sweep, config.edit, config.sampler
    assert isinstance(settings, AdaptiveSweep)

    def cost(taus: tuple[float, ...]) -> float:
        return evaluations(taus, edit.cross_gain, edit.self_gain, sampler.steps, edit.rounding.value)

    progress = [_Progress(pair, with_kind_prior(settings, pair)) for pair in pairs]
    while True:
        # A pair that is done stays done, because its trials do not change.
        decisions = [next_round(p.trials, p.settings, config.filter.max_per_pair, cost) for p in progress]
        tries = [
            (pair, seed)
            for pair, decision in zip(progress, decisions, strict=True)
            if not isinstance(decision, Stop)
            for seed in decision
        ]
        if not tries:
            return [[merge_parts(pair.seeds[sample]) for sample in sorted(pair.seeds)] for pair in progress]
        requests = [
            (pair.pair, make_request(pair.pair, config, seed.sample, seed.taus, sampler.guidance))
            for pair, seed in tries
        ]
        for (pair, seed), swept in zip(tries, sweep(requests), strict=True):
            pair.seeds.setdefault(seed.sample, []).append(swept)
            for k, (tau, reason) in enumerate(zip(seed.taus, scorer.verdicts(swept.scores), strict=True)):
                scores = swept.scores.clip_of(k)
                pair.trials.append(make_trial(seed.sample, tau, scores, reason, scorer.thresholds))


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
    return SweptSeed(
        replace(parts[0].request, taus=taus), sweep, join_scores([part.scores for part in parts])
    )
