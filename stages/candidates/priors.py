"""What the sweep that adapts expects of a caption pair, learnt for each kind of edit from an earlier pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from conf.sweeps import AdaptiveSweep, KindPrior
from stages.candidates.adaptive import Tried, chances
from stages.kinds import kind_of_edit
from stages.records import CaptionPair

ANY = ""
"""The kind that stands for all: what a pair of a kind is held to that was not seen."""

Seeds = Sequence[Sequence[Tried]]
"""What was tried of each seed."""


def learnt(tried: Mapping[str, Seeds], settings: AdaptiveSweep) -> list[KindPrior]:
    """For each kind of edit, and for any, the chance at each of ``settings.taus`` that a seed passes.

    As ``adaptive.chances`` has it within a pair: all kinds together are drawn towards ``settings.prior``, and
    each kind towards all together, with the weight of ``settings.prior_seeds``. Three digits are kept.

    Args:
        tried: of each kind the seeds of an earlier pass.
        settings: whose priors are wanted.
    """
    together = chances([own for seeds in tried.values() for own in seeds], settings)
    held = replace(settings, prior=together)
    found = {kind: chances(seeds, held) for kind, seeds in sorted(tried.items())}
    return [
        KindPrior(kind, [round(chance, 3) for chance in prior])
        for kind, prior in {ANY: together, **found}.items()
    ]


def own_prior(settings: AdaptiveSweep, pair: CaptionPair) -> AdaptiveSweep:
    """The settings with the prior of the pair's kind of edit."""
    priors = {one.kind: one.prior for one in settings.priors}
    return replace(settings, prior=priors.get(kind_of_edit(pair), priors.get(ANY, settings.prior)))
