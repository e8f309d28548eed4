"""Policy of the adaptive sweep: chooses the seeds and τ to try next from the scores of a caption pair so far.

A pure function of the pair's own trials and the configuration, so the choice depends neither on the other pairs nor on
the machine. A new seed is tried at the τ with the best chance of a pass for their rows. The chance is estimated from
the pair's earlier seeds and a prior, which may be learned from an earlier run for each kind of edit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import combinations, islice, pairwise
from typing import Any

import filters
from conf.sweeps import AdaptiveSweep, KindPrior
from stages.candidates.reconstruction import RECONSTRUCTION_SCORES
from stages.candidates.scoring import CLIP_SCORES
from stages.records import CaptionPair, instruction_kind_or_verb

ANY = ""
"""The name of the prior that applies to every kind without its own."""


class Outcome(Enum):
    """The result of a trial: it passed; a larger or a smaller τ may help; a measure failed, which does not say
    which τ may help; or the source image failed, which no τ helps."""

    passed = "passed"
    larger = "larger"
    smaller = "smaller"
    measure = "measure"
    source = "source"


@dataclass(frozen=True)
class Trial:
    """One scored candidate.

    Attributes:
        sample: index of its seed, from 0.
        tau: its τ.
        outcome: its result.
        direction: clip_sim_dir minus its threshold.
        lack: the largest distance of a score below its threshold, 0 if there is none.
    """

    sample: int
    tau: float
    outcome: Outcome
    direction: float
    lack: float


Cost = Callable[[tuple[float, ...]], float]
"""The cost of a new seed at some τ, in any unit."""


def make_trial(
    sample: int, tau: float, scores: Mapping[str, Any], reason: str, thresholds: filters.Thresholds
) -> Trial:
    """The trial of a candidate from its scores by name and the first score or measure that it failed, or "".

    Of the scores CLIP's four count.

    If clip_sim_image missed its threshold a larger τ may help, even if the edit failed too: an edit with too little
    injection fails in both.
    """
    over = {name: scores[name] - getattr(thresholds, name) for name in CLIP_SCORES}
    if not reason:
        outcome = Outcome.passed
    elif reason == "clip_sim_0" or reason in RECONSTRUCTION_SCORES:
        outcome = Outcome.source
    elif reason not in over:
        outcome = Outcome.measure
    else:
        outcome = Outcome.larger if over["clip_sim_image"] < 0 else Outcome.smaller
    lack = 0.0 if not reason else max(0.0, *(-value for value in over.values()))
    return Trial(sample, tau, outcome, over["clip_sim_dir"], lack)


def next_round(
    history: Sequence[Trial], settings: AdaptiveSweep, share: int, cost: Cost
) -> dict[int, tuple[float, ...]]:
    """The τ to try next by sample index, for a pair that may keep ``share`` samples, each of another seed.

    Empty if the pair is done: enough seeds passed, all seeds are tried, or none came close to passing.

    No candidate is tried twice. At most ``settings.seeds`` seeds are tried, each at no more than
    ``settings.taus_per_seed + settings.bisections`` τ.
    """
    seeds: dict[int, list[Trial]] = {}
    for trial in history:
        seeds.setdefault(trial.sample, []).append(trial)
    passed = [seed for seed in seeds.values() if any(trial.outcome is Outcome.passed for trial in seed)]
    convincing = [seed for seed in passed if any(_convinces(trial, settings) for trial in seed)]
    tried, aim_seeds = len(seeds), min(settings.aim_seeds, settings.seeds)
    if len(convincing) >= share or (len(passed) >= share and tried >= aim_seeds):
        return {}
    if not passed and tried >= settings.patience and min(trial.lack for trial in history) > settings.lack:
        return {}
    missing = share - len(passed if len(passed) < share else convincing)
    middles = ((sample, _bisect(seed, settings)) for sample, seed in seeds.items())
    bisected = list(islice(((sample, (tau,)) for sample, tau in middles if tau is not None), missing))
    limit = settings.seeds if len(passed) < share else aim_seeds
    new = range(tried, min(limit, tried + missing - len(bisected)))
    taus = best_taus(list(seeds.values()), settings, cost) if new else ()
    return dict([*bisected, *((sample, taus) for sample in new)])


def best_taus(seeds: Sequence[Sequence[Trial]], settings: AdaptiveSweep, cost: Cost) -> tuple[float, ...]:
    """The τ to try with a new seed: the set with the best chance of a pass for its cost.

    The set has at most ``settings.taus_per_seed`` τ, ``settings.apart`` or more from each other.
    """
    chances = dict(zip(settings.taus, pass_chances(seeds, settings), strict=True))
    sets = [
        taus
        for size in range(1, settings.taus_per_seed + 1)
        for taus in combinations(sorted(chances), size)
        if all(b - a >= settings.apart - 1e-9 for a, b in pairwise(taus))
    ]

    def chance_for_cost(taus: tuple[float, ...]) -> float:
        return (1 - math.prod(1 - chances[tau] for tau in taus)) / cost(taus)

    # Among equal sets the one with the largest τ, which changes the image least.
    return max(sets, key=lambda taus: (chance_for_cost(taus), taus))


def pass_chances(seeds: Iterable[Sequence[Trial]], settings: AdaptiveSweep) -> list[float]:
    """For each of ``settings.taus`` the chance that another seed of the pair passes there.

    The weighted mean of the outcomes of the seeds, each at its trial nearest to that τ, with the weight
    1 − distance / ``settings.reach``. The prior weighs as much as ``settings.prior_seeds`` seeds. A seed whose source
    image failed is ignored.
    """
    sums = [settings.prior_seeds * prior for prior in settings.prior]
    weights = [settings.prior_seeds] * len(sums)
    for seed in seeds:
        if any(trial.outcome is Outcome.source for trial in seed):
            continue
        for k, tau in enumerate(settings.taus):
            nearest = min(seed, key=lambda trial: (abs(trial.tau - tau), -trial.tau))
            weight = max(0.0, 1 - abs(nearest.tau - tau) / settings.reach)
            weights[k] += weight
            sums[k] += weight * (nearest.outcome is Outcome.passed)
    return [total / weight for total, weight in zip(sums, weights, strict=True)]


def learn_priors(
    seeds_by_kind: Mapping[str, Sequence[Sequence[Trial]]], settings: AdaptiveSweep
) -> list[KindPrior]:
    """For each kind of edit and for ``ANY`` the chance at each of ``settings.taus`` that a seed passes.

    The estimate is ``pass_chances``. The prior of all kinds together is ``settings.prior``; the prior of each kind is
    the estimate for all kinds. Both weigh as much as ``settings.prior_seeds`` seeds. Rounded to three digits.

    Args:
        seeds_by_kind: for each kind of edit the trials of each seed of an earlier run.
        settings: the sweep that will use the priors.
    """
    overall = pass_chances([seed for seeds in seeds_by_kind.values() for seed in seeds], settings)
    of_kinds = replace(settings, prior=overall)
    priors = {ANY: overall} | {
        kind: pass_chances(seeds, of_kinds) for kind, seeds in sorted(seeds_by_kind.items())
    }
    return [KindPrior(kind, [round(chance, 3) for chance in prior]) for kind, prior in priors.items()]


def with_kind_prior(settings: AdaptiveSweep, pair: CaptionPair) -> AdaptiveSweep:
    """The settings with the prior of the pair's kind of edit."""
    priors = {entry.kind: entry.prior for entry in settings.priors}
    return replace(
        settings, prior=priors.get(instruction_kind_or_verb(pair), priors.get(ANY, settings.prior))
    )


def _convinces(trial: Trial, settings: AdaptiveSweep) -> bool:
    return trial.outcome is Outcome.passed and trial.direction >= settings.aim


def _bisect(seed: Sequence[Trial], settings: AdaptiveSweep) -> float | None:
    """The middle of the interval in which a failed seed may pass: above every τ that was too small, below every τ
    that was too large.

    None if the seed passed or cannot pass, has no such interval, or had all its bisections.
    """
    outcomes = {trial.outcome for trial in seed}
    low = max((trial.tau for trial in seed if trial.outcome is Outcome.larger), default=math.inf)
    high = min((trial.tau for trial in seed if trial.outcome is Outcome.smaller), default=-math.inf)
    if outcomes != {Outcome.larger, Outcome.smaller} or high - low < settings.bracket:
        return None
    bisections = len(seed) - settings.taus_per_seed
    return round((low + high) / 2, 6) if bisections < settings.bisections else None
