"""Precision and recall of the filter, held to what a reader network reads from the images.

Shipped caption pairs of every kind of edit are swept over τ. All candidates, whether the filter keeps them or not, are
read by the mini world's reader. A candidate is right if the edit was made and the rest preserved
(`benchmarks.truth.edit_truth`). Precision is the share of right candidates among those that pass, recall the share
that pass among the right ones. Fitted scores and thresholds are tested on other caption pairs than they are fitted on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

import conf
import miniworld
from benchmarks.common.results_file import write_section
from benchmarks.truth import reader_accuracy, truth_tables
from benchmarks.truth.background_preservation import Case
from benchmarks.truth.candidate_cache import GAINS, MEASURES, Candidates, Settings, candidates
from benchmarks.truth.edit_truth import Truth, truth
from benchmarks.truth.precision_recall import (
    Curve,
    curve,
    fit_thresholds,
    logistic,
    margin,
    point,
    tried_thresholds,
)
from benchmarks.truth.truth_plot import Sweep, plot
from miniworld.evaluate import SmallClip
from miniworld.scene_reader import Reader, load_reader
from stages.candidates.scoring import CLIP_SCORES

TITLE = "Is what it keeps right? (`make bench-truth`)"
PUBLISHED = (0.2, 0.2, 0.2, 0.75)
DRAWN, PER_KIND = 1000, 24


def defaults() -> tuple[float, ...]:
    """The four thresholds that the mini world's filter ships with."""
    shipped: Any = OmegaConf.load(Path(conf.__file__).parent / "filter" / "miniworld.yaml")
    return tuple(float(shipped[name]) for name in CLIP_SCORES)


def truths(reader: Reader, chosen: Sequence[Case], made: Candidates) -> list[Truth]:
    """What became of each candidate's edit."""
    sources, edits = reader.read(made.sources), reader.read(made.edits)
    return [
        truth(
            chosen[case].before,
            chosen[case].after,
            (made.sources[source], sources[source]),
            (made.edits[n], edits[n]),
        )
        for n, (case, source) in enumerate(zip(made.case, made.source, strict=True))
    ]


def rules(made: Candidates, right: np.ndarray, thresholds: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Scores of each candidate, (N,), by name: the single ones, and combinations."""
    four = made.score(*CLIP_SCORES)
    further = made.score(*CLIP_SCORES, *MEASURES)
    everything = made.score(*CLIP_SCORES, *MEASURES, *GAINS)
    return {
        **dict(zip((*CLIP_SCORES, *MEASURES, *GAINS), everything, strict=True)),
        "default thresholds in lockstep": margin(four, thresholds),
        "published thresholds in lockstep": margin(four, PUBLISHED),
        "clip_sim_dir × clip_sim_image": four[2].clip(0) * four[3].clip(0),
        "logistic, the four": logistic(four, right, made.case),
        "logistic, and ssim, changed_area": logistic(further, right, made.case),
        "logistic, and the gains": logistic(everything, right, made.case),
        "logistic, and squares": logistic(np.concatenate([everything, everything**2]), right, made.case),
    }


def passing(scores: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Bool (N,): whether all scores (4, N) reach their thresholds, as the filter compares them."""
    return np.all(scores >= np.array(thresholds, dtype=np.float32)[:, None], axis=0)


def kept(passes: np.ndarray, rank: np.ndarray, made: Candidates, most: int = 4) -> np.ndarray:
    """Bool (N,): of those that pass the best by ``rank`` of each sample, and so many of a caption pair."""
    chosen = np.zeros(len(passes), bool)
    taken: dict[int, set[int]] = {}
    for n in sorted(np.flatnonzero(passes), key=lambda n: -rank[n]):
        of_pair = taken.setdefault(int(made.case[n]), set())
        if made.sample[n] not in of_pair and len(of_pair) < most:
            of_pair.add(int(made.sample[n]))
            chosen[n] = True
    return chosen


def sweep_of(scores: np.ndarray, right: np.ndarray, thresholds: tuple[float, ...], which: int) -> Sweep:
    """Precision and recall over one of the four thresholds."""
    tried = np.round(np.linspace(0.0, 0.98, 50), 2)
    points = [
        point(passing(scores, [*thresholds[:which], t, *thresholds[which + 1 :]]), right) for t in tried
    ]
    # A handful says nothing of precision.
    shown = [k for k, (_, recall) in enumerate(points) if recall >= 0.02]
    return Sweep(
        CLIP_SCORES[which],
        thresholds[which],
        [float(tried[k]) for k in shown],
        [points[k][0] for k in shown],
        [points[k][1] for k in shown],
    )


def choices(
    scores: np.ndarray, right: np.ndarray, group: np.ndarray, thresholds: tuple[float, ...]
) -> dict[str, tuple[str, np.ndarray]]:
    """Choices by four thresholds: for each the thresholds, and what passes."""

    def said(values: Sequence[float]) -> str:
        return " ".join(f"{value:.2f}" for value in values)

    now = passing(scores, thresholds)
    found = {
        "published": (said(PUBLISHED), passing(scores, PUBLISHED)),
        "default": (said(thresholds), now),
    }
    for name, recall in (("fitted, equal recall", point(now, right)[1]), ("fitted, recall 0.8", 0.8)):
        whole = said(fit_thresholds(scores, right, recall))
        found[name] = (whole, tried_thresholds(scores, right, group, recall))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Generates what is missing, prints and writes the tables, and draws the figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.filter_precision", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=Settings.per_kind, help="caption pairs of each kind")
    parser.add_argument("--seeds", type=int, default=Settings.seeds, help="of each pair")
    parser.add_argument("--folder", type=Path, default=Path("runs/truth"), help="where candidates are kept")
    parser.add_argument("--plot", type=Path, default=Path("docs/figures/truth.png"))
    parser.add_argument("--dry", action="store_true", help="print alone")
    options = parser.parse_args(arguments)
    reader, clip = load_reader(), SmallClip(miniworld.CLIP)
    settings = Settings(per_kind=options.per_kind, seeds=options.seeds)
    chosen, made = candidates(settings, options.folder)
    found = truths(reader, chosen, made)
    right = np.array([one.right for one in found])
    thresholds, four = defaults(), made.score(*CLIP_SCORES)
    ranked = rules(made, right, thresholds)
    curves = {name: curve(score, right) for name, score in ranked.items()}
    chosen_by = choices(four, right, made.case, thresholds)
    now = chosen_by["default"][1]
    text = "\n\n".join(
        [
            truth_tables.intro(settings, len(chosen), len(right), torch.get_num_threads()),
            truth_tables.of_reader(reader, clip, reader_accuracy.unseen(DRAWN), chosen, made),
            truth_tables.of_drawn_pairs(reader, reader_accuracy.drawn_pairs(PER_KIND)),
            truth_tables.by_kind([chosen[k].kind for k in made.case], found, now, kept(now, four[2], made)),
            truth_tables.by_tau(made.tau, found, now),
            truth_tables.of_choices(chosen_by, right),
            truth_tables.of_rules(curves, point(now, right)[1]),
            truth_tables.of_ranks(
                {name: kept(now, score, made) for name, score in ranked.items()}, right, found
            ),
        ]
    )
    print(text)
    if options.dry:
        return
    write_section(TITLE, text)
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    plot(
        _shown(curves),
        {name: point(passes, right) for name, (_, passes) in chosen_by.items()},
        [sweep_of(four, right, thresholds, which) for which in range(4)],
        float(right.mean()),
        options.plot,
    )


def _shown(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    names = (
        "default thresholds in lockstep",
        "published thresholds in lockstep",
        "clip_sim_dir × clip_sim_image",
        "clip_sim_dir",
        "clip_sim_image",
        "logistic, the four",
        "logistic, and squares",
    )
    return {name: curves[name] for name in names}


if __name__ == "__main__":
    main()
