"""What the candidates of an earlier output say of each kind of edit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

import filters
from conf.compose import ConfigError
from conf.schema import Filter
from conf.sweeps import AdaptiveSweep, KindPrior
from pipeline.report.report_data import read_report_data
from stages.candidates.adaptive import Tried
from stages.candidates.adaptive_rounds import told
from stages.candidates.priors import learnt
from stages.candidates.scoring import CLIP_SCORES, thresholds
from stages.kinds import kind_of_edit
from stages.records import CaptionPair
from stages.storage.store import Store


def learnt_from(url: str, chosen: Filter, sweep: AdaptiveSweep) -> list[KindPrior]:
    """The priors by the output at ``url`` under these thresholds. Raises ConfigError and PlanError as ``frozen``."""
    read = read_report_data(Store(url))
    scored = filters.fingerprint(chosen.name, chosen.pretrained)
    if read.plan.settings.get("filter.clip") != scored:
        raise ConfigError(
            f"sweep.prior_from={url} was scored by another CLIP than filter.name={chosen.name}, so its "
            "scores say nothing of these thresholds: give an output of the same CLIP"
        )
    if not read.scores.num_rows:
        raise ConfigError(f"sweep.prior_from={url} has no candidates yet: there is nothing to learn from")
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
    for (pair, _), seed in seeds.items():
        kinds[kind_of_edit(pairs[pair])].append(seed)
    return kinds
