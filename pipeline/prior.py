"""``sweep.prior_from=OUT``: what an earlier output says of each kind of edit, frozen when a run is planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

import filters
from conf.compose import ConfigError
from conf.schema import Config
from conf.sweeps import AdaptiveSweep, KindPrior
from pipeline import stored
from pipeline.report import facts
from stages.adaptive import Tried
from stages.judging import CLIP_SCORES, thresholds
from stages.kinds import kind_of_edit
from stages.priors import learnt
from stages.records import CaptionPair
from stages.rounds import told
from stages.store import Store


def frozen(config: Config, sweep: AdaptiveSweep, store: Store) -> Config:
    """The configuration with the priors of its ``sweep.prior_from`` in it.

    An output that was planned with this prior_from keeps what was learnt then, whatever has become of it since.

    Raises:
        ConfigError: an output that another CLIP scored, or without a candidate.
        PlanError: what is not the output of a run.
    """
    planned = stored.read(store).sweep if store.exists(stored.NAME) else None
    if isinstance(planned, AdaptiveSweep) and planned.prior_from == sweep.prior_from:
        priors = planned.priors
    else:
        priors = _learnt(config, sweep)
    return replace(config, sweep=replace(sweep, priors=priors))


def _learnt(config: Config, sweep: AdaptiveSweep) -> list[KindPrior]:
    assert sweep.prior_from
    read = facts.read(Store(sweep.prior_from))
    chosen, scored = config.filter, filters.fingerprint(config.filter.name, config.filter.pretrained)
    if read.plan.settings.get("filter.clip") != scored:
        raise ConfigError(
            f"sweep.prior_from={sweep.prior_from} was scored by another CLIP than filter.name={chosen.name}, so its "
            "scores say nothing of these thresholds: give an output of the same CLIP"
        )
    if not read.scores.num_rows:
        raise ConfigError(
            f"sweep.prior_from={sweep.prior_from} has no candidates yet: there is nothing to learn from"
        )
    return learnt(tried(read.scores, read.pairs, thresholds(chosen)), sweep)


def tried(
    scores: pa.Table, pairs: Mapping[str, CaptionPair], limits: filters.Thresholds
) -> dict[str, list[list[Tried]]]:
    """Of each kind of edit the seeds with their candidates, told by CLIP's scores alone under some thresholds."""
    columns = {name: scores[name].to_numpy().astype(np.float32) for name in CLIP_SCORES}
    reasons = filters.verdicts(filters.ClipScores(**columns), limits)
    four: Iterable[tuple[float, ...]] = zip(*(column.tolist() for column in columns.values()), strict=True)
    seeds: dict[tuple[str, int], list[Tried]] = defaultdict(list)
    ids, samples, taus = (scores[name].to_pylist() for name in ("pair_id", "sample_index", "p2p_threshold"))
    for pair, sample, tau, own, reason in zip(ids, samples, taus, four, reasons, strict=True):
        seeds[pair, sample].append(told(sample, tau, own, reason, limits))
    kinds: dict[str, list[list[Tried]]] = defaultdict(list)
    for (pair, _), own in seeds.items():
        kinds[kind_of_edit(pairs[pair])].append(own)
    return kinds
