"""What a look on the way knows of the end: `python -m benchmarks.early`.

A grid of the mini world's shipped caption pairs, in which nothing is left: of every edit CLIP's scores of the image
that is predicted at part of the steps, and of the image that it becomes. So any margins can be played through: which
edits they would leave, how many of those fail in the end (precision), how many of those that fail are left (recall),
what is lost of what passes, and how many rows it saves.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import diffusers
import numpy as np
import transformers
from rich.console import Console
from rich.table import Table

import p2p
from benchmarks.recorded import configured, place
from benchmarks.yield_ import shipped
from conf.schema import Config
from p2p.sweep.tree import Branch, grow, schedules
from pipeline.planning.run_fingerprint import identify
from stages.candidates.early_scoring import score
from stages.candidates.requests import requests
from stages.candidates.scoring import CLIP_SCORES, thresholds
from stages.generate import Generate
from stages.records import CaptionPair

SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "euler_ancestral-12": ("sampler=euler_ancestral", "sampler.steps=12"),
    "ddim-8": ("sampler=ddim", "sampler.steps=8"),
}
LOOKS = (0.25, 0.375, 0.5, 0.625, 0.75)
# Of the direction, and of the other three.
MARGINS = tuple(product((0.0, 0.05, 0.1, 0.2), (0.0, 0.025, 0.05, 0.1)))


@dataclass(frozen=True)
class Edit:
    """One edit: its sweep, the places of the τ that it was one trajectory with at the look, the rows that this
    trajectory and the source had before them, and CLIP's four scores predicted and in the end."""

    sweep: tuple[str, int]
    members: tuple[int, ...]
    rows: int
    source_rows: int
    predicted: tuple[float, ...]
    final: tuple[float, ...]


@dataclass(frozen=True)
class Played:
    """Of all edits: those that fail in the end, those that are left, those that are left and fail; rows saved."""

    edits: int
    failing: int
    left: int
    right: int
    saved: int

    @property
    def precision(self) -> float:
        return self.right / self.left if self.left else float("nan")

    @property
    def recall(self) -> float:
        return self.right / self.failing if self.failing else float("nan")

    @property
    def lost(self) -> float:
        """The share of what passes that is left."""
        return (self.left - self.right) / max(1, self.edits - self.failing)


def played(edits: Sequence[Edit], limits: np.ndarray, margins: np.ndarray) -> Played:
    """What margins (4,) below the thresholds (4,) would leave."""
    predicted = np.array([one.predicted for one in edits], np.float32).reshape(-1, len(limits))
    final = np.array([one.final for one in edits], np.float32).reshape(-1, len(limits))
    left = np.any(predicted < np.float32(limits - margins), axis=1)
    fails = np.any(final < np.float32(limits), axis=1)
    trees: dict[tuple[str, int], list[tuple[Edit, bool]]] = {}
    for one, gone in zip(edits, left, strict=True):
        trees.setdefault(one.sweep, []).append((one, bool(gone)))
    saved = 0
    for own in trees.values():
        saved += sum({one.members: one.rows for one, gone in own if gone}.values())
        saved += own[0][0].source_rows if all(gone for _, gone in own) else 0
    return Played(len(edits), int(fails.sum()), int(left.sum()), int((left & fails).sum()), saved)


def onward(branches: Sequence[Branch], step: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Each trajectory that comes to ``step``, with the steps that it and what it forks into have yet to take."""
    for branch in branches:
        if branch.start < step <= branch.stop:
            yield branch.members, _steps(branch) - (step - branch.start)
        else:
            yield from onward(branch.children, step)


def _steps(branch: Branch) -> int:
    return len(branch.injections) + sum(map(_steps, branch.children))


def record(stage: Generate, pair: CaptionPair, at: float) -> Iterator[Edit]:
    """Sweep a pair and look, and leave nothing."""
    asked, shown = requests(pair, stage.config), dict[int, p2p.Predicted]()

    def look(predicted: p2p.Predicted) -> list[bool]:
        shown[predicted.request] = predicted
        return [True] * len(predicted.edits)

    looking = p2p.Look(at, look)
    sweeps = stage.editor.sweep_many(asked, 32, looking)
    steps = stage.config.sampler.steps
    step = looking.step(steps)
    assert step is not None
    tree = grow(
        schedules(asked[0].taus, (), stage.config.edit.cross_gain, stage.config.edit.self_gain, steps)
    )
    rest = dict(onward(tree, step))
    for index, sweep in enumerate(sweeps):
        predicted = score(stage.judge, shown[index], pair)
        final = stage.judge([sweep.source] * len(sweep.edits), list(sweep.edits), [pair] * len(sweep.edits))
        for row, members in enumerate(shown[index].members):
            for member in members:
                yield Edit(
                    (pair.id, index),
                    members,
                    2 * rest[members],
                    2 * (steps - step),
                    tuple(float(getattr(predicted, name)[row]) for name in CLIP_SCORES),
                    tuple(float(getattr(final.scores, name)[member]) for name in CLIP_SCORES),
                )


def recorded(config: Config, pairs: Sequence[CaptionPair], path: Path, at: float) -> list[Edit]:
    """The edits of the pairs, those that the file has not swept first."""
    done = {edit.sweep[0] for edit in _read(path)}
    missing = [pair for pair in pairs if pair.id not in done]
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        stage = Generate(config, identify(config).generator)
        for number, pair in enumerate(missing, 1):
            lines = [json.dumps(vars(edit)) + "\n" for edit in record(stage, pair, at)]
            with path.open("a") as file:
                file.write("".join(lines))
            print(f"{path.stem}: {number} of {len(missing)}", flush=True)
    wanted = {pair.id for pair in pairs}
    return [edit for edit in _read(path) if edit.sweep[0] in wanted]


def _read(path: Path) -> list[Edit]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [
        Edit(
            (one["sweep"][0], one["sweep"][1]),
            tuple(one["members"]),
            one["rows"],
            one["source_rows"],
            tuple(one["predicted"]),
            tuple(one["final"]),
        )
        for one in map(json.loads, lines)
    ]


def table(title: str, edits: Mapping[float, Sequence[Edit]], limits: np.ndarray) -> Table:
    """A row for a look and margins: of what is left how much fails, and so on; the rows are for a grid's edit."""
    drawn = Table(title=title)
    for column in ("look", "dir", "others", "left", "precision", "recall", "lost", "rows saved an edit"):
        drawn.add_column(column, justify="right")
    for at, own in edits.items():
        for direction, others in MARGINS:
            found = played(own, limits, np.array([others, others, direction, others]))
            drawn.add_row(
                f"{at:g}",
                f"{direction:g}",
                f"{others:g}",
                f"{found.left / found.edits:.3f}",
                f"{found.precision:.3f}",
                f"{found.recall:.3f}",
                f"{found.lost:.3f}",
                f"{found.saved / found.edits:.2f}",
            )
    return drawn


def main() -> None:
    """Records what is missing and prints a table a sampler."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.early", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", choices=list(SAMPLERS), default=list(SAMPLERS))
    parser.add_argument("--looks", nargs="+", type=float, default=list(LOOKS))
    parser.add_argument("--folder", type=Path, default=Path("runs/early"))
    options = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    pairs = [pair for pair, _ in shipped(options.pairs)]
    console = Console(width=130)
    for sampler in options.samplers:
        config = configured(["model.dtype=bf16", "sweep=grid", *SAMPLERS[sampler]])
        models = identify(config)
        files = {at: place(options.folder, f"{sampler}-{at:g}", config, models) for at in options.looks}
        edits = {at: recorded(config, pairs, file, at) for at, file in files.items()}
        limits = thresholds(config.filter)
        console.print(table(sampler, edits, np.array([getattr(limits, name) for name in CLIP_SCORES])))


if __name__ == "__main__":
    main()
