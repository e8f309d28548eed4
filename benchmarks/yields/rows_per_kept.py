"""Denoiser rows for a kept pair of images, by sweep, at equal thresholds (`make bench-yield`).

The mini world's shipped caption pairs are swept by the stage of a run; at most four candidates of each are kept, no two
of one seed. Compared are InstructPix2Pix's procedure (100 candidates a caption pair, each with its own seed, guidance
and τ from U(.1, .9); Euler-ancestral; its own injection), our grid and our adaptive sweep with the same sampler and
steps, ours with our best sampler and steps, and InstructPix2Pix's with its published 100 steps. Its procedure takes
four rows a step for every candidate, as the tree does for one τ a seed, so the executor counts the rows of all. Its
guidance is scaled to this model: from the default to twice the default.

With `--seconds 0` nothing is rendered: the tables are made from the records.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import diffusers
import transformers

import miniworld
from benchmarks.common.results_file import RESULTS, publish
from benchmarks.yields.sweep_log import configure, log_path, read, record
from benchmarks.yields.yield_statistics import table
from pipeline.planning.run_fingerprint import identify
from stages.records import CaptionPair

# Half precision for all sweeps: on a processor that has it, it doubles the rows a second.
HALF = "model.dtype=bf16"
ADAPTIVE = ("sweep=adaptive", HALF)
EULER = ("sampler=euler_ancestral", "sampler.steps=12")
DDIM = ("sampler=ddim", "sampler.steps=8")
SOON = ("sweep.aim=0.1", "sweep.aim_seeds=8")
BEST_OF_16 = ("sweep.aim=1", "sweep.aim_seeds=16")
PUBLISHED = (
    *(HALF, "edit=instructpix2pix", "sampler=euler_ancestral", "sweep=random", "sweep.samples=100"),
    *("sweep.tau_min=0.1", "sweep.tau_max=0.9", "sweep.guidance_min=5", "sweep.guidance_max=10"),
)
SWEEPS: Mapping[str, tuple[str, ...]] = {
    "instructpix2pix": (*PUBLISHED, "sampler.steps=12"),
    "instructpix2pix-100": (*PUBLISHED, "sampler.steps=100"),
    "grid": ("sweep=grid", HALF, *EULER),
    "adaptive": (*ADAPTIVE, *EULER),
    "adaptive-soon": (*ADAPTIVE, *EULER, *SOON),
    "adaptive-best-of-16": (*ADAPTIVE, *EULER, *BEST_OF_16),
    "best": (*ADAPTIVE, *DDIM),
    "best-soon": (*ADAPTIVE, *DDIM, *SOON),
    "best-of-16": (*ADAPTIVE, *DDIM, *BEST_OF_16),
}
TABLES: Sequence[Sequence[str]] = (
    ("instructpix2pix", "grid", "adaptive-soon", "adaptive"),
    ("instructpix2pix", "best-soon", "best"),
    ("instructpix2pix-100", "instructpix2pix", "adaptive", "best", "best-of-16"),
    ("instructpix2pix", "adaptive-best-of-16", "best-of-16"),
)
# Caption pairs of a sweep whose 40,000 rows a pair take six to ten minutes of a core.
MAX_PAIRS = {"instructpix2pix-100": 16}
ABOUT = (
    "Each table is over the first shipped caption pairs that all its sweeps have. *Times fewer* rows a kept pair, and "
    "*equal numbers*, are against its first sweep: of each caption pair that both serve, as many of the best of both, "
    "by sim_dir, as the one with fewer kept. `instructpix2pix`, `grid` and `adaptive…` are Euler-ancestral with 12 "
    "steps, `best…` is `sweep=adaptive` with DDIM and 8; `instructpix2pix-100` has its published 100 steps. "
    f"Soon is `{' '.join(SOON)}`, best of 16 is `{' '.join(BEST_OF_16)}`."
)


def shipped_pairs(count: int) -> list[tuple[CaptionPair, str]]:
    """The first shipped caption pairs, each with its kind of edit."""
    with miniworld.CAPTIONS.open() as file:
        lines = [json.loads(line) for line in islice(file, count)]
    return [(CaptionPair(line["input"], line["edit"], line["output"]), line["kind"]) for line in lines]


def main() -> None:
    """Record missing pairs and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yields.rows_per_kept", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument(
        "--sweeps",
        nargs="+",
        action="append",
        choices=list(SWEEPS),
        help="of one table, the first being what the others are compared with; repeat it for another table",
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no pair after these")
    parser.add_argument("--folder", type=Path, default=Path("runs/yield"))
    parser.add_argument("--more", nargs="*", default=[], help="further settings for every sweep: key=value")
    parser.add_argument("--write", action="store_true", help=f"also write the tables into {RESULTS.name}")
    options = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    tables = options.sweeps or TABLES
    pairs, begin, records = shipped_pairs(options.pairs), time.perf_counter(), {}
    for name in dict.fromkeys(name for names in tables for name in names):
        config = configure([*SWEEPS[name], *options.more])
        path = log_path(options.folder, name, config, identify(config))
        remaining = options.seconds - (time.perf_counter() - begin)
        for line in record(config, pairs[: MAX_PAIRS.get(name)], path, remaining):
            print(f"{name}: {line}", flush=True)
        ids = {pair.id for pair, _ in pairs}
        records[name] = [pair for pair in read(path) if pair.pair in ids]
        print(f"{name}: {len(records[name])} caption pairs", flush=True)
    text = "\n\n".join(table({name: records[name] for name in names}) for names in tables)
    if options.write:
        publish("Rows for a kept pair: the tables", "benchmarks.yields.rows_per_kept", f"{ABOUT}\n\n{text}")
    else:
        print(text)


if __name__ == "__main__":
    main()
