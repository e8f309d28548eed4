"""Rows for a kept pair, at equal thresholds: `python -m benchmarks.yields.rows_per_kept` (`make bench-yield`).

The mini world's shipped caption pairs, at most four kept of each, no two of one seed. InstructPix2Pix's procedure (100
candidates a caption pair, each with a seed, a τ from U(.1, .9) and a guidance of its own; Euler-ancestral; its own
injection), our grid and our adaptive sweep, with one sampler and number of steps; then ours with our best sampler and
steps, and InstructPix2Pix's with its published 100 steps. All of them run through the stage that a run uses. Its
procedure takes four rows a step for every candidate; one τ a seed takes the tree just as many, so they are counted by
the executor as all are. The guidance is the published one scaled to this model: from the default to twice the default.

With `--seconds 0` nothing is made: the tables are of what is recorded.
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
from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import RESULTS, write_section
from benchmarks.yields.sweep_log import configured, place, read, record
from benchmarks.yields.yield_statistics import COLUMNS, lines
from pipeline.planning.run_fingerprint import identify
from stages.records import CaptionPair

# Half precision: on a processor that has it, twice the rows a second, and all ways share it.
SAME = ("model.dtype=bf16", "sampler=euler_ancestral", "sampler.steps=12")
PUBLISHED = (
    "model.dtype=bf16",
    "sampler=euler_ancestral",
    "sweep=random",
    "sweep.tau_min=0.1",
    "sweep.tau_max=0.9",
    "sweep.guidance_min=5",
    "sweep.guidance_max=10",
    "edit=instructpix2pix",
)
CHOOSIER = ("sweep.aim=1", "sweep.aim_seeds=16")
SOON = ("sweep.aim=0.1", "sweep.aim_seeds=8")
EVERY_TAU = f"sweep.taus=[{','.join(f'{k / 12:.4f}' for k in range(13))}]"
WAYS: Mapping[str, tuple[str, ...]] = {
    "instructpix2pix": (*PUBLISHED, "sampler.steps=12", "sweep.samples=100"),
    "grid": ("sweep=grid", *SAME),
    "adaptive": ("sweep=adaptive", *SAME),
    "adaptive-best-of-16": ("sweep=adaptive", *SAME, *CHOOSIER),
    "best": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=8"),
    "best-of-16": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=8", *CHOOSIER),
    "instructpix2pix-100": (*PUBLISHED, "sampler.steps=100", "sweep.samples=100"),
}
# What the others are chosen by: every τ that 12 steps tell apart, and fewer of the candidates of 100 steps.
FURTHER: Mapping[str, tuple[str, ...]] = {
    # Those that stop soon, for the fewest rows.
    "adaptive-soon": ("sweep=adaptive", *SAME, *SOON),
    "best-soon": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=8", *SOON),
    "every-tau": ("sweep=grid", "sweep.seeds=8", EVERY_TAU, *SAME),
    "dpmpp_2m-8": ("sweep=adaptive", "model.dtype=bf16", "sampler=dpmpp_2m", "sampler.steps=8"),
    "ddim-early": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=8", "early.at=0.5"),
    "ddim-6": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=6"),
    "instructpix2pix-100-few": (*PUBLISHED, "sampler.steps=100", "sweep.samples=8"),
}


TABLES: Sequence[Sequence[str]] = (
    ("instructpix2pix", "grid", "adaptive-soon", "adaptive"),
    ("instructpix2pix", "best-soon", "best"),
    ("instructpix2pix-100", "instructpix2pix", "adaptive", "best", "best-of-16"),
    ("instructpix2pix", "adaptive-best-of-16", "best-of-16"),
)
# Caption pairs of a way whose 40,000 rows for each take six to ten minutes of a core.
AT_MOST = {"instructpix2pix-100": 16}
TITLE = "Rows for a kept pair: the tables (`make bench-yield`)"
ABOUT = (
    "Each table is over the first caption pairs shipped that all its ways have; *times fewer* rows a kept pair, and "
    "*equal numbers*, are against its first way: of each caption pair that both serve, as many of the best of both, by "
    "sim_dir, as the one with fewer kept. `instructpix2pix`, `grid` and `adaptive` with its kind are Euler-ancestral "
    "with 12 steps, `best` with its kind is `sweep=adaptive` with DDIM and 8; `instructpix2pix-100` is its procedure "
    "with its published 100 steps. "
    f"Soon is `{' '.join(SOON)}`, best of 16 is `{' '.join(CHOOSIER)}`, and the others are as they come."
)


def shipped(count: int) -> list[tuple[CaptionPair, str]]:
    """The first shipped caption pairs, each with its kind of edit."""
    with miniworld.CAPTIONS.open() as file:
        lines = [json.loads(line) for line in islice(file, count)]
    return [(CaptionPair(line["input"], line["edit"], line["output"]), line["kind"]) for line in lines]


def main() -> None:
    """Records what is missing and prints the tables, each over the caption pairs that all its ways have."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yields.rows_per_kept", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument(
        "--ways",
        nargs="+",
        action="append",
        choices=[*WAYS, *FURTHER],
        help="of one table, the first being what the others are compared with; again for another table",
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no pair is begun after these")
    parser.add_argument("--folder", type=Path, default=Path("runs/yield"))
    parser.add_argument("--more", nargs="*", default=[], help="further settings for every way: key=value")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {RESULTS.name}, too")
    options = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    tables = options.ways or TABLES
    pairs, started, found = shipped(options.pairs), time.perf_counter(), {}
    for way in dict.fromkeys(way for ways in tables for way in ways):
        settings = [*{**WAYS, **FURTHER}[way], *options.more]
        config = configured(settings)
        path = place(options.folder, way, config, identify(config))
        own, left = pairs[: AT_MOST.get(way)], options.seconds - (time.perf_counter() - started)
        for line in record(config, own, path, left):
            print(f"{way}: {line}", flush=True)
        wanted = {pair.id for pair, _ in pairs}
        found[way] = [one for one in read(path) if one.pair in wanted]
        print(f"{way}: {len(found[way])} caption pairs", flush=True)
    text = "\n\n".join(markdown_table(COLUMNS, lines({way: found[way] for way in ways})) for ways in tables)
    print(text)
    if options.write:
        write_section(TITLE, f"{ABOUT}\n\n{text}")


if __name__ == "__main__":
    main()
