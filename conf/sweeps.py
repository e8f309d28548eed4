"""The schema of the sweeps: what a caption pair is tried at, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class Sweep:
    """What is tried for each caption pair."""


@dataclass
class GridSweep(Sweep):
    """Every τ for every seed: ``seeds × len(taus)`` candidates a pair."""

    seeds: int = MISSING
    taus: list[float] = MISSING


@dataclass
class RandomSweep(Sweep):
    """Each candidate has its own seed, τ ~ U(tau_min, tau_max) and guidance ~ U(guidance_min, guidance_max)."""

    samples: int = MISSING
    tau_min: float = MISSING
    tau_max: float = MISSING
    guidance_min: float = MISSING
    guidance_max: float = MISSING


@dataclass
class KindPrior:
    """The chance at each of ``sweep.taus`` for one kind of edit, "" for any that is not named."""

    kind: str = MISSING
    prior: list[float] = MISSING


@dataclass
class AdaptiveSweep(Sweep):
    """Seed after seed at the τ that the caption pair's own candidates call best: ``stages/candidates/adaptive.py``.

    A pair is done when ``filter.max_per_pair`` of its seeds pass with a clip_sim_dir ``aim`` over its threshold, or
    pass at all once ``aim_seeds`` are tried; after ``seeds`` of them; or, given up, when after ``patience`` none has
    passed, nor missed its thresholds by ``lack`` or less. A seed is tried at those of ``taus``, at most
    ``taus_per_seed`` and ``apart`` from each other, that have the best chance of a pass for their rows. ``prior`` is
    the chance at each of ``taus`` before anything is known of a pair; it weighs as much as ``prior_seeds`` seeds, and
    what is seen at a τ tells of those within ``reach``. A seed whose pass must lie between two τ that failed,
    ``bracket`` or more apart, is tried again halfway, up to ``taus_per_seed + bisections`` candidates in all.

    ``prior_from`` is the output of an earlier run, from which a prior is learnt for each kind of edit (a line's
    ``kind``, or the instruction's first word) when this one is planned; ``priors`` are those, or one's own:
    sweep.priors=[{kind:colour,prior:[0.2,0.5]}], and "" for any other kind.
    """

    seeds: int = MISSING
    taus: list[float] = MISSING
    prior: list[float] = MISSING
    prior_seeds: float = MISSING
    taus_per_seed: int = MISSING
    apart: float = MISSING
    reach: float = MISSING
    aim: float = MISSING
    aim_seeds: int = MISSING
    patience: int = MISSING
    lack: float = MISSING
    bisections: int = MISSING
    bracket: float = MISSING
    prior_from: str | None = None
    priors: list[KindPrior] = field(default_factory=list)
