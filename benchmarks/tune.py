"""The demo's defaults, by measurement: `python -m benchmarks.tune`.

The same shipped caption pairs and seeds under several settings of guidance, steps and gains. For each: the share of
caption pairs that keep at least one sample, the share of (pair, seed) that do, the mean scores of the kept, which τ
were kept, and the rows that a kept sample cost.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from rich.console import Console
from rich.table import Table

import filters
import miniworld
import p2p

SETTINGS = ("guidance", "steps", "cross_gain", "self_gain")


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    guidance: float = 5.0
    steps: int = 16
    cross_gain: float = 1.0
    self_gain: float = 0.5


@dataclass(frozen=True)
class Found:
    """What a setting gave: for each caption pair its kind, its candidates' verdicts, and the kept scores."""

    kept_pairs: float
    kept_seeds: float
    by_kind: dict[str, float]
    taus: Counter[float]
    mean_dir: float
    mean_image: float
    rows_per_kept: float
    seconds: float


def measure(
    editor: p2p.Editor,
    clip: filters.Clip,
    thresholds: filters.Thresholds,
    pairs: Sequence[dict[str, str]],
    seeds: int,
    taus: Sequence[float],
    setting: Setting,
) -> Found:
    """Sweeps every pair under one setting, scores and chooses as the pipeline does."""
    started = time.perf_counter()
    requests = [
        p2p.SweepRequest(
            source=pair["input"],
            target=pair["output"],
            taus=tuple(taus),
            seed=seed,
            steps=setting.steps,
            guidance_scale=setting.guidance,
            cross_gain=setting.cross_gain,
            self_gain=setting.self_gain,
        )
        for pair in pairs
        for seed in range(seeds)
    ]
    sweeps = editor.sweep_many(requests)
    seconds = time.perf_counter() - started
    kept_by_kind: dict[str, list[bool]] = defaultdict(list)
    kept_seeds, kept_taus, directions, similarities = 0, Counter[float](), [], []
    for index, pair in enumerate(pairs):
        own = sweeps[index * seeds : (index + 1) * seeds]
        inputs = [sweep.source for sweep in own for _ in taus]
        outputs = [edit for sweep in own for edit in sweep.edits]
        count = len(inputs)
        scores = clip.score(inputs, outputs, [pair["input"]] * count, [pair["output"]] * count)
        samples = [sample for sample in range(seeds) for _ in taus]
        verdicts = filters.choose(samples, scores, thresholds)
        kept = [i for i, verdict in enumerate(verdicts) if not verdict]
        kept_by_kind[pair["kind"]].append(bool(kept))
        kept_seeds += len({samples[i] for i in kept})
        kept_taus.update(taus[i % len(taus)] for i in kept)
        directions += [float(scores.clip_sim_dir[i]) for i in kept]
        similarities += [float(scores.clip_sim_image[i]) for i in kept]
    return Found(
        kept_pairs=float(np.mean([flag for flags in kept_by_kind.values() for flag in flags])),
        kept_seeds=kept_seeds / len(requests),
        by_kind={kind: float(np.mean(flags)) for kind, flags in kept_by_kind.items()},
        taus=kept_taus,
        mean_dir=float(np.mean(directions or [0])),
        mean_image=float(np.mean(similarities or [0])),
        rows_per_kept=sum(sweep.rows for sweep in sweeps) / max(len(directions), 1),
        seconds=seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune", description=__doc__)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--taus", type=float, nargs="+", default=[0.2, 0.4, 0.6, 0.8, 1.0])
    parser.add_argument(
        "--thresholds", type=float, nargs=4, required=True, metavar=("SIM_0", "SIM_1", "DIR", "IMAGE")
    )
    for name in SETTINGS:
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(getattr(Setting, name)), nargs="*", default=[]
        )
    options = parser.parse_args()

    editor = p2p.load(miniworld.MODEL)
    clip = filters.load_clip(f"local-dir:{miniworld.CLIP}")
    thresholds = filters.Thresholds(*options.thresholds)
    with miniworld.CAPTIONS.open() as file:
        pairs = [json.loads(line) for line in islice(file, options.pairs)]
    settings = [Setting()]
    settings += [replace(Setting(), **{name: value}) for name in SETTINGS for value in getattr(options, name)]

    console = Console(width=200)
    table = Table(title=f"{len(pairs)} caption pairs, {options.seeds} seeds, τ {options.taus}, {thresholds}")
    kinds = sorted({pair["kind"] for pair in pairs})
    columns = (*SETTINGS, "pairs kept", "seeds kept", "dir", "image", "rows/kept", "s", "kept by τ", *kinds)
    for column in columns:
        table.add_column(column, justify="right")
    for setting in dict.fromkeys(settings):
        found = measure(editor, clip, thresholds, pairs, options.seeds, options.taus, setting)
        table.add_row(
            *(str(getattr(setting, name)) for name in SETTINGS),
            f"{found.kept_pairs:.0%}",
            f"{found.kept_seeds:.0%}",
            f"{found.mean_dir:.2f}",
            f"{found.mean_image:.2f}",
            f"{found.rows_per_kept:.0f}",
            f"{found.seconds:.0f}",
            " ".join(f"{tau}:{found.taus[tau]}" for tau in options.taus),
            *(f"{found.by_kind[kind]:.0%}" for kind in kinds),
        )
        print(setting, found, flush=True)
    console.print(table)


if __name__ == "__main__":
    main()
