"""Runs the adaptive sweep over the pairs of a unit: each pair advances by its own rounds, and all share batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from p2p.sweep.tree import InjectionTiming, count_evaluations
from stages.candidates.adaptive import Trial, make_trial, next_round, with_kind_prior
from stages.candidates.requests import count_seeds, make_request
from stages.candidates.scoring import Scorer, SeedRequest, SweptSeed
from stages.records import CaptionPair

Respond = Callable[[list[tuple[int, SweptSeed]]], Sequence[SeedRequest]]
SweepQueue = Callable[[Sequence[SeedRequest], Respond], None]
"""Carries out requests and those that ``Respond`` returns for finished ones, all numbered in order, and scores them."""


@dataclass
class _Progress:
    """A caption pair in its rounds.

    Attributes:
        pair: the pair.
        settings: of the sweep, with the prior of the pair's kind of edit.
        round: the requests of the present round by sample index, each None until it is swept.
        trials: of the rounds before.
        seeds: the parts of each seed by sample index.
    """

    pair: CaptionPair
    settings: AdaptiveSweep
    round: dict[int, SweptSeed | None] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    seeds: dict[int, list[SweptSeed]] = field(default_factory=dict)


def sweep_in_rounds(
    pairs: Sequence[CaptionPair],
    config: Config,
    scorer: Scorer,
    sweep_queue: SweepQueue,
    images: Mapping[str, NDArray[np.uint8]] = MappingProxyType({}),
) -> list[list[SweptSeed]]:
    """Sweeps until every pair is done. For each pair its seeds, each with all its τ, in the order of the samples.

    A pair begins its next round when all seeds of the last one are scored, whatever the other pairs do, and its
    trials are in the order of its own rounds: what it tries depends on nothing else. ``images`` holds those of pairs by
    the pair's id.
    """
    settings, edit, sampler = config.sweep, config.edit, config.sampler
    assert isinstance(settings, AdaptiveSweep)

    timing = InjectionTiming(
        edit.cross_gain,
        edit.self_gain,
        sampler.steps,
        edit.rounding.value,
        edit.start or 0.0,
        edit.self_tau,
    )

    def cost(taus: tuple[float, ...]) -> float:
        return count_evaluations(taus, timing)

    owners: list[tuple[_Progress, int]] = []

    def begin_round(pair: _Progress) -> list[SeedRequest]:
        tries = next_round(pair.trials, pair.settings, config.filter.max_per_pair, cost)
        pair.round = dict.fromkeys(tries)
        image = images.get(pair.pair.id)
        owners.extend((pair, sample) for sample in tries)
        return [
            (pair.pair, sample, make_request(pair.pair, config, sample, taus, sampler.guidance, image))
            for sample, taus in tries.items()
        ]

    def end_round(pair: _Progress, swept: dict[int, SweptSeed]) -> None:
        for sample, seed in swept.items():
            pair.seeds.setdefault(sample, []).append(seed)
            pair.trials += [
                make_trial(sample, candidate.tau, vars(candidate), reason, scorer.thresholds)
                for candidate, reason in zip(seed.candidates, scorer.verdicts(seed.candidates), strict=True)
            ]

    def respond(finished: list[tuple[int, SweptSeed]]) -> list[SeedRequest]:
        requests = []
        for number, seed in finished:
            pair, sample = owners[number]
            pair.round[sample] = seed
            swept = {sample: part for sample, part in pair.round.items() if part is not None}
            if len(swept) == len(pair.round):
                end_round(pair, swept)
                requests += begin_round(pair)
        return requests

    progress = [
        _Progress(
            pair, replace(with_kind_prior(settings, pair), seeds=count_seeds(pair, config, settings.seeds))
        )
        for pair in pairs
    ]
    sweep_queue([request for pair in progress for request in begin_round(pair)], respond)
    return [[merge_parts(pair.seeds[sample]) for sample in sorted(pair.seeds)] for pair in progress]


def merge_parts(parts: Sequence[SweptSeed]) -> SweptSeed:
    """Merges the parts of a seed that were swept in several rounds.

    The source is that of the first part that finished it. The sources of the others differ by rounding alone.
    """
    sweeps = [part.sweep for part in parts]
    starts = np.cumsum([0, *(len(sweep.edits) for sweep in sweeps)])
    finished = (part for part in parts if len(part.sweep.stopped) < len(part.sweep.edits))
    first = next(finished, parts[0])
    sweep = replace(
        first.sweep,
        edits=np.concatenate([sweep.edits for sweep in sweeps]),
        edit_latents=torch.cat([sweep.edit_latents for sweep in sweeps]),
        rows=sum(sweep.rows for sweep in sweeps),
        stopped=tuple(
            int(start) + k for start, sweep in zip(starts, sweeps, strict=False) for k in sweep.stopped
        ),
    )
    taus = tuple(tau for part in parts for tau in part.request.taus)
    candidates = tuple(candidate for part in parts for candidate in part.candidates)
    return SweptSeed(replace(parts[0].request, taus=taus), sweep, candidates, first.reconstruction)
