"""Precision and recall of the filter, held to what a reader network reads from the images.

Shipped caption pairs of every kind of edit are swept over τ. All candidates, whether the filter keeps them or not, are
read by the mini world's reader. A candidate is right if the edit was made and the rest preserved
(`benchmarks.truth.edit_truth`). Precision is the share of right candidates among those that pass, recall the share
that pass among the right ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

import conf
from benchmarks.common.results_file import FIGURES, publish
from benchmarks.truth import reader_accuracy, truth_tables
from benchmarks.truth.candidate_cache import MEASURES, SCORES, Candidates, Settings, load_candidates
from benchmarks.truth.edit_truth import EditTruth, judge_edit
from benchmarks.truth.precision_recall import curve, margin, passing, point
from benchmarks.truth.truth_plot import plot, sweep_threshold
from miniworld.edits import Edit
from miniworld.scene_reader import Reader, load_reader
from stages.candidates.scoring import CLIP_SCORES

PUBLISHED = (0.2, 0.2, 0.2, 0.75)
DRAWN, DRAWN_PER_KIND = 1000, 24


def default_thresholds() -> tuple[float, ...]:
    """The four thresholds that the mini world's filter ships with."""
    shipped: Any = OmegaConf.load(Path(conf.__file__).parent / "filter" / "miniworld.yaml")
    return tuple(float(shipped[name]) for name in CLIP_SCORES)


def judge_candidates(reader: Reader, edits: Sequence[Edit], candidates: Candidates) -> list[EditTruth]:
    """The truth about each candidate."""
    sources = list(zip(candidates.sources, reader.read(candidates.sources), strict=True))
    outputs = zip(candidates.outputs, reader.read(candidates.outputs), strict=True)
    return [
        judge_edit(edits[edit].before, edits[edit].after, sources[source], output)
        for edit, source, output in zip(candidates.edit, candidates.source, outputs, strict=True)
    ]


def combined_scores(candidates: Candidates, thresholds: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Scores of each candidate, (N,), by name: the single ones, and combinations."""
    clip_scores = candidates.score(*CLIP_SCORES)
    return {
        "default thresholds in lockstep": margin(clip_scores, thresholds),
        "published thresholds in lockstep": margin(clip_scores, PUBLISHED),
        "clip_sim_dir × clip_sim_image": clip_scores[2].clip(0) * clip_scores[3].clip(0),
        **dict(zip(SCORES, candidates.score(*CLIP_SCORES, *MEASURES), strict=True)),
    }


def keep(passes: np.ndarray, rank: np.ndarray, candidates: Candidates, per_edit: int = 4) -> np.ndarray:
    """Bool (N,): the best passing candidate by ``rank`` of each sample, at most ``per_edit`` of an edit."""
    kept = np.zeros(len(passes), bool)
    samples: dict[int, set[int]] = {}
    for n in sorted(np.flatnonzero(passes), key=lambda n: -rank[n]):
        of_edit = samples.setdefault(int(candidates.edit[n]), set())
        if candidates.sample[n] not in of_edit and len(of_edit) < per_edit:
            of_edit.add(int(candidates.sample[n]))
            kept[n] = True
    return kept


def main(arguments: Sequence[str] | None = None) -> None:
    """Make missing candidates, write the section, and draw the figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.filter_precision", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=Settings.per_kind, help="caption pairs of each kind")
    parser.add_argument("--seeds", type=int, default=Settings.seeds, help="of each pair")
    parser.add_argument("--folder", type=Path, default=Path("runs/truth"), help="where candidates are kept")
    parser.add_argument("--plot", type=Path, default=FIGURES / "truth.png")
    parser.add_argument("--dry", action="store_true", help="only print")
    options = parser.parse_args(arguments)
    reader = load_reader()
    settings = Settings(per_kind=options.per_kind, seeds=options.seeds)
    edits, candidates = load_candidates(settings, options.folder)
    truths = judge_candidates(reader, edits, candidates)
    right = np.array([truth.right for truth in truths])
    thresholds, clip_scores = default_thresholds(), candidates.score(*CLIP_SCORES)
    curves = {name: curve(score, right) for name, score in combined_scores(candidates, thresholds).items()}
    choices = {"published": PUBLISHED, "default": thresholds}
    passing_by = {name: passing(clip_scores, values) for name, values in choices.items()}
    passes = passing_by["default"]
    kept = keep(passes, clip_scores[CLIP_SCORES.index("clip_sim_dir")], candidates)
    kinds = [edits[k].kind for k in candidates.edit]
    tables = [
        truth_tables.intro(settings, len(edits), len(right), torch.get_num_threads()),
        truth_tables.reader_table(reader, reader_accuracy.unseen_layouts(DRAWN)),
        truth_tables.drawn_pairs_table(reader, reader_accuracy.drawn_pairs(DRAWN_PER_KIND)),
        truth_tables.filter_table(kinds, truths, passes, kept),
        truth_tables.tau_table(candidates.tau, truths, passes),
        truth_tables.thresholds_table(choices, passing_by, right),
        truth_tables.scores_table(curves, point(passes, right)[1]),
    ]
    text = "\n\n".join(tables)
    if options.dry:
        print(text)
        return
    publish("Precision of the filter", "benchmarks.truth.filter_precision", text)
    points = {name: point(mask, right) for name, mask in passing_by.items()}
    sweeps = [sweep_threshold(name, k, clip_scores, right, thresholds) for k, name in enumerate(CLIP_SCORES)]
    shown = {name: curves[name] for name in [*list(curves)[:3], "clip_sim_dir", "clip_sim_image"]}
    plot(shown, points, sweeps, float(right.mean()), options.plot)


if __name__ == "__main__":
    main()
