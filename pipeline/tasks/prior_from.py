"""Learns the priors of ``sweep.prior_from=OUT`` from an earlier output when a run is planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

import filters
from conf.config_errors import ConfigError
from conf.schema import Config, Filter
from conf.sweeps import AdaptiveSweep, KindPrior
from pipeline.config import saved
from stages.candidates.adaptive import Trial, learn_priors, make_trial
from stages.candidates.scoring import CLIP_SCORES, make_thresholds
from stages.records import CaptionPair, instruction_kind_or_verb
from stages.storage.store import Store


def freeze_priors(config: Config, store: Store) -> Config:
    """Return the configuration with the priors of its ``sweep.prior_from``, or unchanged if it has none.

    An output that was planned with this prior_from keeps the priors learned then, even if the earlier output changed.

    Raises:
        ConfigError: an output that another CLIP scored, or that has no candidate.
        PlanError: a folder that is not the output of a run.
    """
    sweep = config.sweep
    if not (isinstance(sweep, AdaptiveSweep) and sweep.prior_from):
        return config
    planned = saved.read_image_config(store).sweep if store.exists(saved.NAME) else None
    if isinstance(planned, AdaptiveSweep) and planned.prior_from == sweep.prior_from:
        priors = planned.priors
    else:
        priors = _learn_from(sweep.prior_from, config.filter, sweep)
    return replace(config, sweep=replace(sweep, priors=priors))


def _learn_from(url: str, filter_settings: Filter, sweep: AdaptiveSweep) -> list[KindPrior]:
    """The priors that the output at ``url`` gives under these thresholds. Raises as ``freeze_priors``."""
    # Imported here: most runs learn no priors, and the report's data take a second to import.
    from pipeline.report.report_data import read_report_data

    earlier = read_report_data(Store(url))
    clip = filters.fingerprint(filter_settings.name, filter_settings.pretrained)
    if earlier.plan.settings.get("filter.clip") != clip:
        raise ConfigError(
            f"sweep.prior_from={url} was scored by another CLIP than filter.name={filter_settings.name}, so its "
            "scores do not fit these thresholds: give an output of the same CLIP"
        )
    if not earlier.scores.num_rows:
        raise ConfigError(f"sweep.prior_from={url} has no candidates yet: give an output that has some")
    trials = _trials_by_kind(earlier.scores, earlier.pairs, make_thresholds(filter_settings))
    return learn_priors(trials, sweep)


def _trials_by_kind(
    scores: pa.Table, pairs: Mapping[str, CaptionPair], limits: filters.Thresholds
) -> dict[str, list[list[Trial]]]:
    """The candidates of each seed, by kind of edit, judged by CLIP's scores alone under these thresholds."""
    columns = {name: scores[name].to_numpy().astype(np.float32) for name in CLIP_SCORES}
    reasons = filters.find_missed_thresholds(filters.ClipScores(**columns), limits)
    candidates = scores.select(["pair_id", "sample_index", "p2p_threshold", *CLIP_SCORES]).to_pylist()
    seeds: dict[tuple[str, int], list[Trial]] = defaultdict(list)
    for candidate, reason in zip(candidates, reasons, strict=True):
        pair, sample, tau = (candidate.pop(name) for name in ("pair_id", "sample_index", "p2p_threshold"))
        seeds[pair, sample].append(make_trial(sample, tau, candidate, reason, limits))
    kinds: dict[str, list[list[Trial]]] = defaultdict(list)
    for (pair, _), seed in seeds.items():
        kinds[instruction_kind_or_verb(pairs[pair])].append(seed)
    return kinds
