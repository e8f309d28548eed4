"""Policies of the adaptive sweep, played through on recorded scores: `python -m benchmarks.policies`.

After `python -m benchmarks.yield_ --ways every-tau`, which scores every τ that 12 steps tell apart, any policy can be
tried without a denoiser. Rows are those of the trees that it would have asked for.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import filters
from benchmarks.recorded import Recorded, configured, place, read
from benchmarks.yield_ import FURTHER
from conf.sweeps import AdaptiveSweep
from p2p.sweep.tree import evaluations
from pipeline.planning.run_fingerprint import identify
from stages.candidates.adaptive import Stop, Tried, next_round
from stages.candidates.adaptive_rounds import told
from stages.candidates.priors import ANY, learnt
from stages.candidates.scoring import thresholds

STEPS = 12
# Within the eight seeds that are recorded.
BASE = AdaptiveSweep(
    seeds=8,
    taus=[0.0, 0.1667, 0.3333, 0.5, 0.6667, 0.8333, 1.0],
    prior=[0.27, 0.36, 0.45, 0.54, 0.55, 0.57, 0.56],
    prior_seeds=2.0,
    taus_per_seed=2,
    apart=0.3,
    reach=0.35,
    aim=0.0,
    aim_seeds=8,
    patience=6,
    lack=0.05,
    bisections=0,
    bracket=0.2,
)
POLICIES: Mapping[str, AdaptiveSweep] = {
    "two tau a seed": BASE,
    "one": replace(BASE, taus_per_seed=1),
    "three": replace(BASE, taus_per_seed=3),
    "one bisection": replace(BASE, bisections=1),
    "prior of 1 seed": replace(BASE, prior_seeds=1.0),
    "prior of 8 seeds": replace(BASE, prior_seeds=8.0),
    "the prior alone": replace(BASE, prior_seeds=1e6),
    "a flat prior": replace(BASE, prior=[0.4] * 7),
    "reach 0.2": replace(BASE, reach=0.2),
    "reach 0.6": replace(BASE, reach=0.6),
    "0.15 apart": replace(BASE, apart=0.15),
    "aim 0.1": replace(BASE, aim=0.1),
    "aim 0.2": replace(BASE, aim=0.2),
}


def rows(taus: Sequence[float]) -> int:
    """Rows of one seed's tree, guided, with the paper's gains."""
    return 2 * evaluations(tuple(sorted(taus)), 1.0, 0.5, STEPS)


def played(
    pair: Recorded, settings: AdaptiveSweep, limits: filters.Thresholds
) -> tuple[int, list[tuple[float, ...]]]:
    """The rows that a policy takes for a pair, and the scores of what is kept."""
    scores: dict[int, dict[float, tuple[float, ...]]] = defaultdict(dict)
    for one in pair.candidates:
        scores[one.sample][one.tau] = one.scores
    history: list[Tried] = []
    taken = 0
    while not isinstance(
        asked := next_round(history, settings, limits.max_per_pair, lambda taus: rows(taus) / 2), Stop
    ):
        for ask in asked:
            known = [_nearest(scores[ask.sample], tau) for tau in ask.taus]
            taken += rows(known)
            for tau, recorded in zip(ask.taus, known, strict=True):
                four = scores[ask.sample][recorded]
                (reason,) = filters.verdicts(_clip([four]), limits)
                history.append(told(ask.sample, tau, four, reason, limits))
    found = [scores[tried.sample][_nearest(scores[tried.sample], tried.tau)] for tried in history]
    reasons = filters.choose([tried.sample for tried in history], _clip(found), limits)
    return taken, [one for one, reason in zip(found, reasons, strict=True) if not reason]


def of_others(
    pair: Recorded, pairs: Sequence[Recorded], settings: AdaptiveSweep, limits: filters.Thresholds
) -> dict[str, list[float]]:
    """The priors that the other caption pairs teach, by kind of edit."""
    tried: dict[str, list[list[Tried]]] = defaultdict(list)
    for other in pairs:
        if other.pair == pair.pair:
            continue
        reasons = filters.verdicts(_clip([one.scores for one in other.candidates]), limits)
        seeds: dict[int, list[Tried]] = defaultdict(list)
        for one, reason in zip(other.candidates, reasons, strict=True):
            seeds[one.sample].append(told(one.sample, one.tau, one.scores, reason, limits))
        tried[other.kind] += seeds.values()
    return {one.kind: one.prior for one in learnt(tried, settings)}


def _nearest(recorded: Mapping[float, object], tau: float) -> float:
    return min(recorded, key=lambda other: abs(other - tau))


def _clip(scores: Sequence[Sequence[float]]) -> filters.ClipScores:
    return filters.ClipScores(*np.array(scores, np.float32).reshape(-1, 4).T)


def main() -> None:
    """Prints a row a policy."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policies", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/yield"))
    options = parser.parse_args()
    settings = FURTHER["every-tau"]
    config = configured(settings)
    pairs = read(place(options.folder, "every-tau", config, identify(config)))
    table = Table(title=f"{len(pairs)} caption pairs")
    for column in ("policy", "served", "kept", "rows/kept", "sim_dir", "sim_image"):
        table.add_column(column, justify="right")
    limits = thresholds(config.filter)
    taught = [of_others(pair, pairs, BASE, limits) for pair in pairs]
    policies = {name: [policy] * len(pairs) for name, policy in POLICIES.items()}
    for seeds in (2.0, 8.0):
        held = replace(BASE, prior_seeds=seeds)
        policies |= {
            f"the others' prior, of {seeds:g} seeds": [replace(held, prior=own[ANY]) for own in taught],
            f"the others' of its kind, of {seeds:g} seeds": [
                replace(held, prior=own.get(pair.kind, own[ANY]))
                for pair, own in zip(pairs, taught, strict=True)
            ],
        }
    for name, own in policies.items():
        results = [played(pair, policy, limits) for pair, policy in zip(pairs, own, strict=True)]
        kept = np.array([one for _, own in results for one in own])
        total = sum(taken for taken, _ in results)
        table.add_row(
            name,
            str(sum(bool(own) for _, own in results)),
            str(len(kept)),
            f"{total / max(1, len(kept)):.0f}",
            *(f"{value:.3f}" for value in kept.mean(0)[2:]),
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
