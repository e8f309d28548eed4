"""Schema of the sweeps: the seeds, τ and guidance that are tried for a caption pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from omegaconf import MISSING

from conf.bounds import CHANCE, GUIDANCE, NOT_NEGATIVE, POSITIVE, Bound, at_least, bounded


@dataclass
class Sweep:
    """The candidates of each caption pair."""


@dataclass
class GridSweep(Sweep):
    """Every τ for every seed: ``seeds × len(taus)`` candidates for each pair."""

    seeds: int = bounded(at_least(1))
    taus: list[float] = MISSING


@dataclass
class RandomSweep(Sweep):
    """Each candidate has its own seed, τ ~ U(tau_min, tau_max) and guidance ~ U(guidance_min, guidance_max)."""

    samples: int = bounded(at_least(1))
    tau_min: float = bounded(CHANCE)
    tau_max: float = bounded(CHANCE)
    guidance_min: float = bounded(GUIDANCE)
    guidance_max: float = bounded(GUIDANCE)


@dataclass
class KindPrior:
    """The chance to pass at each of ``sweep.taus`` for one kind of edit; "" means any kind without its own entry."""

    kind: str = MISSING
    prior: list[float] = MISSING


DIFFERENT_TAUS = Bound(
    lambda taus: 0 < len(set(taus)) == len(taus) and all(map(CHANCE.holds, taus)),
    "be one or more values from 0 to 1, each once",
    spec="",
)


@dataclass
class AdaptiveSweep(Sweep):
    """One seed after the other, at the τ that the caption pair's own candidates suggest
    (``stages/candidates/adaptive.py``).

    - A pair is done when ``filter.max_per_pair`` of its seeds pass with a clip_sim_dir ``aim`` above the threshold,
      or pass at all after ``aim_seeds`` seeds.
    - A pair is given up after ``seeds`` seeds, or after ``patience`` seeds if none has passed or missed its
      thresholds by ``lack`` or less.
    - A seed is tried at the τ with the best chance to pass for their rows: at most ``taus_per_seed`` of ``taus``,
      at least ``apart`` from each other.
    - A seed whose pass must lie between two τ that failed, ``bracket`` or more apart, is tried again halfway
      between them, up to ``taus_per_seed + bisections`` candidates in all.
    - ``prior``: the chance at each of ``taus`` before anything is known about a pair. It weighs as much as
      ``prior_seeds`` seeds. A result at one τ also counts for τ within ``reach``.
    - ``prior_from``: an earlier output. A prior for each kind of edit (``kind`` of the line, or the first word of
      the instruction) is learnt from it when this run is planned.
    - ``unit_factor``: a unit has so many times ``model.unit_pairs`` caption pairs by default. Pairs need different
      numbers of seeds; with 32 in a unit, the others fill the rows that a finished one leaves.
    - ``priors``: the learnt priors, or your own, such as sweep.priors=[{kind:colour,prior:[0.2,0.5]}].
    """

    seeds: int = bounded(at_least(1))
    taus: list[float] = bounded(DIFFERENT_TAUS)
    prior: list[float] = MISSING
    prior_seeds: float = bounded(POSITIVE)
    taus_per_seed: int = bounded(at_least(1))
    apart: float = bounded(NOT_NEGATIVE)
    reach: float = bounded(POSITIVE)
    aim: float = bounded(NOT_NEGATIVE)
    aim_seeds: int = bounded(at_least(1))
    patience: int = bounded(at_least(1))
    lack: float = bounded(NOT_NEGATIVE)
    bisections: int = bounded(NOT_NEGATIVE)
    bracket: float = bounded(POSITIVE)
    unit_factor: int = bounded(at_least(1))
    prior_from: str | None = None
    priors: list[KindPrior] = field(default_factory=list)


SWEEPS: dict[str, type[Sweep]] = {"grid": GridSweep, "random": RandomSweep, "adaptive": AdaptiveSweep}
"""The schemas by the name of their option."""


def sweep_option(keys: Iterable[str]) -> str | None:
    """Return the first option whose schema has all of ``keys``; None if there is none."""
    given = set(keys)
    return next(
        (name for name, kind in SWEEPS.items() if given <= {entry.name for entry in fields(kind)}), None
    )
