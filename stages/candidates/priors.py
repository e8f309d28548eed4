"""Prior pass rates of the adaptive sweep: learned from an earlier run, one for each kind of edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from conf.sweeps import AdaptiveSweep, KindPrior
from stages.candidates.adaptive import Trial, pass_chances
from stages.records import CaptionPair, instruction_kind_or_verb

ANY = ""
"""The name of the prior that applies to every kind without its own."""


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
