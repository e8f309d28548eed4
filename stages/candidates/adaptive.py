"""The sweep that adapts: from what a caption pair's candidates scored to those that are tried next.

A pure function of the pair's own history and the configuration, so that what is tried of a pair depends neither on its
company nor on the machine. Every new seed is tried at the τ that promise most for their rows, by what the pair's seeds
before it came to and by a prior that belongs to the configuration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, pairwise

from conf.sweeps import AdaptiveSweep


class Outcome(Enum):
    """What a candidate came to: it passed, or a larger τ may mend it, or a smaller one; or it failed by a measure,
    which tells of no direction, or by its source, which no τ mends."""

    passed = "passed"
    larger = "larger"
    smaller = "smaller"
    measure = "measure"
    source = "source"


class Stop(Enum):
    """Why a pair is tried no more: it has its share, it has had its seeds, or it showed no chance."""

    full = "full"
    spent = "spent"
    hopeless = "hopeless"


@dataclass(frozen=True)
class Tried:
    """A candidate that was judged.

    Attributes:
        sample: its seed's number, from 0.
        tau: its τ.
        outcome: what it came to.
        direction: by how much clip_sim_dir is over its threshold.
        lack: the most by which a score missed its threshold, 0 where none did.
    """

    sample: int
    tau: float
    outcome: Outcome
    direction: float
    lack: float


@dataclass(frozen=True)
class Ask:
    """What to try of one seed, in one tree."""

    sample: int
    taus: tuple[float, ...]


Cost = Callable[[tuple[float, ...]], float]
"""What a new seed costs at some τ, in any unit."""


def next_round(
    history: Sequence[Tried], settings: AdaptiveSweep, share: int, cost: Cost
) -> tuple[Ask, ...] | Stop:
    """The next candidates of a pair that may keep ``share``, each of another seed; or why there are none.

    No candidate is asked for twice, no more than ``settings.seeds`` seeds, and none of them at more than
    ``settings.taus_per_seed + settings.bisections`` τ.
    """
    seeds = _by_seed(history)
    passed = [own for own in seeds.values() if any(one.outcome is Outcome.passed for one in own)]
    convincing = [own for own in passed if any(_convinces(one, settings) for one in own)]
    tried, aim_seeds = len(seeds), min(settings.aim_seeds, settings.seeds)
    if len(convincing) >= share or (len(passed) >= share and tried >= aim_seeds):
        return Stop.full
    if not passed and tried >= settings.patience and min(one.lack for one in history) > settings.lack:
        return Stop.hopeless
    wanted = share - len(passed if len(passed) < share else convincing)
    again = [ask for sample, own in seeds.items() if (ask := _halfway(sample, own, settings))][:wanted]
    limit = settings.seeds if len(passed) < share else aim_seeds
    fresh = range(tried, min(limit, tried + wanted - len(again)))
    taus = promising(list(seeds.values()), settings, cost) if fresh else ()
    return (*again, *(Ask(sample, taus) for sample in fresh)) or Stop.spent


def promising(seeds: Sequence[Sequence[Tried]], settings: AdaptiveSweep, cost: Cost) -> tuple[float, ...]:
    """The τ to try a new seed at: those with the most chance of a pass for what they cost, at most
    ``settings.taus_per_seed`` and ``settings.apart`` from each other."""
    chance = dict(zip(settings.taus, chances(seeds, settings), strict=True))
    sets = [
        taus
        for size in range(1, settings.taus_per_seed + 1)
        for taus in combinations(sorted(chance), size)
        if all(b - a >= settings.apart - 1e-9 for a, b in pairwise(taus))
    ]
    # Among equals the largest τ: it leaves most of the picture alone.
    return max(sets, key=lambda taus: (_any(chance, taus) / cost(taus), taus))


def chances(seeds: Iterable[Sequence[Tried]], settings: AdaptiveSweep) -> list[float]:
    """For each of ``settings.taus`` the chance that another seed of the pair passes there.

    The mean of what the seeds tried came to at the nearest τ they have, weighted by 1 − distance / ``settings.reach``,
    with the prior as so many more seeds as ``settings.prior_seeds`` says. A seed whose source fails says nothing of τ.
    """
    sums = [settings.prior_seeds * prior for prior in settings.prior]
    weights = [settings.prior_seeds] * len(sums)
    for own in seeds:
        if any(one.outcome is Outcome.source for one in own):
            continue
        for k, tau in enumerate(settings.taus):
            nearest = min(own, key=lambda one: (abs(one.tau - tau), -one.tau))
            weight = max(0.0, 1 - abs(nearest.tau - tau) / settings.reach)
            weights[k] += weight
            sums[k] += weight * (nearest.outcome is Outcome.passed)
    return [total / weight for total, weight in zip(sums, weights, strict=True)]


def _any(chance: Mapping[float, float], taus: Iterable[float]) -> float:
    return 1 - math.prod(1 - chance[tau] for tau in taus)


def _by_seed(history: Iterable[Tried]) -> dict[int, list[Tried]]:
    seeds: dict[int, list[Tried]] = {}
    for one in history:
        seeds.setdefault(one.sample, []).append(one)
    return seeds


def _convinces(one: Tried, settings: AdaptiveSweep) -> bool:
    return one.outcome is Outcome.passed and one.direction >= settings.aim


def _halfway(sample: int, own: Sequence[Tried], settings: AdaptiveSweep) -> Ask | None:
    """The middle of where alone a failed seed can pass: above what wants a larger τ, below what wants a smaller one.

    None where it passed, cannot, has been asked often enough, or is not held from both sides.
    """
    outcomes = {one.outcome for one in own}
    low = max((one.tau for one in own if one.outcome is Outcome.larger), default=math.inf)
    high = min((one.tau for one in own if one.outcome is Outcome.smaller), default=-math.inf)
    if outcomes != {Outcome.larger, Outcome.smaller} or high - low < settings.bracket:
        return None
    asked_again = len(own) - settings.taus_per_seed
    return Ask(sample, (round((low + high) / 2, 6),)) if asked_again < settings.bisections else None
