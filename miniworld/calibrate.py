"""Calibrates the thresholds of the small CLIP on drawn edits: `python -m miniworld.calibrate`.

A true edit is drawn as the scene before and after in one layout. Three faults of generated pairs are drawn too: the
right edit in another layout, no change, and another change. The published thresholds (0.2, 0.2, 0.2, 0.75) are for
another CLIP, so a search finds those that separate true from false edits here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import miniworld
from miniworld.drawing.draw import draw
from miniworld.edits import EDITS, random_edit
from miniworld.evaluate import UNSEEN, SmallClip
from miniworld.scene import random_layout, variations
from miniworld.scene_captions import caption

FAULTS = ("moved", "unchanged", "something else")
SCORES = ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image")
RECALL = 0.9


@dataclass(frozen=True)
class Truth:
    """The kinds (N,) of drawn edits, their four scores (4, N), and the scores of the same edits with each fault."""

    kinds: np.ndarray
    true: np.ndarray
    false: dict[str, np.ndarray]


def scores(image_0: Tensor, image_1: Tensor, text_0: Tensor, text_1: Tensor) -> np.ndarray:
    """Computes sim_0, sim_1, sim_dir, sim_image (4, N) of unit features (N, D) (InstructPix2Pix, section 3.1.2)."""
    return torch.stack(
        [
            (image_0 * text_0).sum(-1),
            (image_1 * text_1).sum(-1),
            torch.cosine_similarity(image_1 - image_0, text_1 - text_0),
            (image_0 * image_1).sum(-1),
        ]
    ).numpy()


def draw_truth(clip: SmallClip, edits_per_kind: int = 120) -> Truth:
    """Draws and scores edits that training never saw, and their faulty forms."""
    rng = np.random.default_rng(UNSEEN + 1)
    edits = [random_edit(rng, kind) for kind in EDITS for _ in range(edits_per_kind)]
    layouts = [random_layout(rng) for _ in edits]
    before = clip.images([draw(e.before, at) for e, at in zip(edits, layouts, strict=True)])
    after = clip.images([draw(e.after, at) for e, at in zip(edits, layouts, strict=True)])
    moved = clip.images([draw(e.after, random_layout(rng)) for e in edits])
    wrong = []
    for edit, layout in zip(edits, layouts, strict=True):
        others = [scene for _, scene in variations(edit.before) if scene != edit.after]
        wrong.append(draw(others[rng.integers(len(others))], layout))
    text_0, text_1 = (
        clip.texts([caption(e.before) for e in edits]),
        clip.texts([caption(e.after) for e in edits]),
    )
    ends = (after, moved, before, clip.images(wrong))
    true, *false = (scores(before, end, text_0, text_1) for end in ends)
    return Truth(np.array([e.kind for e in edits]), true, dict(zip(FAULTS, false, strict=True)))


def passes(values: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Tells for each pair if all four scores (4, N) reach their thresholds: bool (N,)."""
    return np.all(values >= np.array(thresholds)[:, None], axis=0)


def find_thresholds(truth: Truth) -> tuple[float, ...]:
    """Finds the thresholds that pass the fewest faulty pairs and at least 90 % of the true ones.

    Each threshold is tried at quantiles of the scores of true edits, rounded to 0.01.
    """
    quantiles = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)
    grid = [np.floor(np.quantile(score, quantiles) * 100) / 100 for score in truth.true]
    rated = []
    for thresholds in itertools.product(*grid):
        if passes(truth.true, thresholds).mean() >= RECALL:
            wrong = np.mean([passes(values, thresholds).mean() for values in truth.false.values()])
            rated.append((wrong, tuple(float(t) for t in thresholds)))
    return min(rated)[1]


def main() -> None:
    """Prints the thresholds and the shares that pass them."""
    console = Console(width=max(110, Console().width))
    truth = draw_truth(SmallClip(miniworld.CLIP))
    thresholds = find_thresholds(truth)
    console.print("  ".join(f"{name} {value:.2f}" for name, value in zip(SCORES, thresholds, strict=True)))
    table = Table(title="Share of drawn pairs that pass")
    for column in ("edit", "true", *FAULTS):
        table.add_column(column, justify="right")
    for kind in (*EDITS, "all"):
        chosen = np.ones(len(truth.kinds), bool) if kind == "all" else truth.kinds == kind
        shares = [
            passes(values[:, chosen], thresholds).mean() for values in (truth.true, *truth.false.values())
        ]
        table.add_row(kind, *(f"{share:.0%}" for share in shares))
    console.print(table)
    table = Table(title="Scores of true edits: 10 % quantile / median")
    for column in ("edit", *SCORES):
        table.add_column(column, justify="right")
    for kind in EDITS:
        cells = [np.quantile(score[truth.kinds == kind], (0.1, 0.5)) for score in truth.true]
        table.add_row(kind, *(f"{low:.2f} / {middle:.2f}" for low, middle in cells))
    console.print(table)


if __name__ == "__main__":
    main()
