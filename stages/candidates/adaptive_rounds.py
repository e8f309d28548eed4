"""The sweep that adapts, over the pairs of a unit: they advance together, and a round of all of them is one sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

import filters
import p2p
from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from p2p.sweep.tree import evaluations
from stages.candidates.adaptive import Ask, Outcome, Stop, Tried, next_round
from stages.candidates.priors import own_prior
from stages.candidates.requests import request
from stages.candidates.scoring import CLIP_SCORES, Judge, Judged, joined
from stages.records import CaptionPair


@dataclass(frozen=True)
class Swept:
    """What was asked for of a pair, what came of it, and the judgement: request after request, τ after τ."""

    asked: tuple[p2p.SweepRequest, ...]
    sweeps: tuple[p2p.Sweep, ...]
    judged: Judged


Sweeping = Callable[[Sequence[CaptionPair], Sequence[tuple[p2p.SweepRequest, ...]]], list[Swept]]
"""Sweeps what is asked for of each pair, in shared batches."""


def in_rounds(pairs: Sequence[CaptionPair], config: Config, judge: Judge, sweep: Sweeping) -> list[Swept]:
    """Rounds until every pair has stopped: for each pair all that was tried, sample after sample."""
    assert isinstance(config.sweep, AdaptiveSweep)
    edit, settings = config.edit, [own_prior(config.sweep, pair) for pair in pairs]
    asks: list[list[Ask]] = [[] for _ in pairs]
    parts: list[list[Swept]] = [[] for _ in pairs]
    histories: list[list[Tried]] = [[] for _ in pairs]

    def cost(taus: tuple[float, ...]) -> float:
        return evaluations(taus, edit.cross_gain, edit.self_gain, config.sampler.steps, edit.rounding.value)

    going = list(range(len(pairs)))
    while going:
        decided = {n: next_round(histories[n], settings[n], config.filter.max_per_pair, cost) for n in going}
        rounds = {n: asked for n, asked in decided.items() if not isinstance(asked, Stop)}
        going = list(rounds)
        if going:
            requests = [
                tuple(
                    request(pairs[n], config, ask.sample, ask.taus, config.sampler.guidance)
                    for ask in rounds[n]
                )
                for n in going
            ]
            for n, made in zip(going, sweep([pairs[n] for n in going], requests), strict=True):
                asks[n] += rounds[n]
                parts[n].append(made)
                histories[n] += _tried(rounds[n], made.judged, judge)
    return [_merged(own, made) for own, made in zip(asks, parts, strict=True)]


def _tried(asked: Sequence[Ask], judged: Judged, judge: Judge) -> list[Tried]:
    reasons = judge.verdicts(judged)
    candidates = [(ask.sample, tau) for ask in asked for tau in ask.taus]
    return [
        told(
            sample,
            tau,
            [float(getattr(judged.scores, name)[row]) for name in CLIP_SCORES],
            reason,
            judge.thresholds,
        )
        for row, ((sample, tau), reason) in enumerate(zip(candidates, reasons, strict=True))
    ]


def told(
    sample: int, tau: float, scores: Sequence[float], reason: str, thresholds: filters.Thresholds
) -> Tried:
    """What a candidate says, by CLIP's four scores and the first score or measure that it failed by, "" for none.

    Where likeness is missed a larger τ may mend it, whether or not the edit is missed as well: what moves freely goes
    wrong in both.
    """
    over = {name: score - getattr(thresholds, name) for name, score in zip(CLIP_SCORES, scores, strict=True)}
    if not reason:
        outcome = Outcome.passed
    elif reason == "clip_sim_0":
        outcome = Outcome.source
    elif reason not in over:
        outcome = Outcome.measure
    else:
        outcome = Outcome.larger if over["clip_sim_image"] < 0 else Outcome.smaller
    lack = 0.0 if not reason else max(0.0, *(-value for value in over.values()))
    return Tried(sample, tau, outcome, over["clip_sim_dir"], lack)


def _merged(asks: Sequence[Ask], rounds: Sequence[Swept]) -> Swept:
    """All rounds as one, sample after sample: what was asked of a seed in several is one request with all its τ."""
    asked = [one for swept in rounds for one in swept.asked]
    sweeps = [one for swept in rounds for one in swept.sweeps]
    judged = joined([swept.judged for swept in rounds])
    ends = np.cumsum([len(ask.taus) for ask in asks])
    samples: dict[int, list[int]] = {}
    for place, ask in enumerate(asks):
        samples.setdefault(ask.sample, []).append(place)
    order = [places for _, places in sorted(samples.items())]
    return Swept(
        tuple(_request([asked[place] for place in places]) for places in order),
        tuple(_sweep([sweeps[place] for place in places]) for places in order),
        joined(
            [
                judged.part(slice(int(ends[place]) - len(asks[place].taus), int(ends[place])))
                for places in order
                for place in places
            ]
        ),
    )


def _request(parts: Sequence[p2p.SweepRequest]) -> p2p.SweepRequest:
    return replace(parts[0], taus=tuple(tau for part in parts for tau in part.taus))


def _sweep(parts: Sequence[p2p.Sweep]) -> p2p.Sweep:
    """The source is the first's that was finished: made again it is the same but for the rounding of its batch."""
    starts = np.cumsum([0, *(len(part.edits) for part in parts)])
    return replace(
        next((part for part in parts if len(part.stopped) < len(part.edits)), parts[0]),
        edits=np.concatenate([part.edits for part in parts]),
        edit_latents=torch.cat([part.edit_latents for part in parts]),
        rows=sum(part.rows for part in parts),
        stopped=tuple(
            int(start) + place for start, part in zip(starts, parts, strict=False) for place in part.stopped
        ),
    )
