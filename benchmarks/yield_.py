"""Rows for a kept pair, at equal thresholds: `python -m benchmarks.yield_` (`make bench-yield`).

The mini world's shipped caption pairs, at most four kept of each, no two of one seed. InstructPix2Pix's procedure (100
candidates a caption pair, each with a seed, a τ from U(.1, .9) and a guidance of its own; Euler-ancestral; its own
injection), our grid and our adaptive sweep, with one sampler and number of steps; then ours with our best sampler and
steps, and InstructPix2Pix's with its published 100 steps. All of them run through the stage that a run uses. Its
procedure takes four rows a step for every candidate; one τ a seed takes the tree just as many, so they are counted by
the executor as all are. The guidance is the published one scaled to this model: from the default to twice the default.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import diffusers
import transformers
from rich.console import Console
from rich.table import Table

import miniworld
from benchmarks.recorded import Recorded, configured, place, read, record
from pipeline.fingerprint import identify
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
    "every-tau": ("sweep=grid", "sweep.seeds=8", EVERY_TAU, *SAME),
    "dpmpp_2m-8": ("sweep=adaptive", "model.dtype=bf16", "sampler=dpmpp_2m", "sampler.steps=8"),
    "ddim-early": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=8", "early.at=0.5"),
    "ddim-6": ("sweep=adaptive", "model.dtype=bf16", "sampler=ddim", "sampler.steps=6"),
    "instructpix2pix-100-few": (*PUBLISHED, "sampler.steps=100", "sweep.samples=8"),
}


@dataclass(frozen=True)
class Yielded:
    """What a way came to over some caption pairs: ``direction`` and ``image`` are the means of the kept."""

    pairs: int
    served: int
    kept: int
    candidates: int
    rows: int
    direction: float
    image: float

    @property
    def rows_a_kept(self) -> float:
        """Denoiser rows for each kept pair of images."""
        return self.rows / self.kept if self.kept else float("inf")


def yielded(recorded: Sequence[Recorded]) -> Yielded:
    """The sums over caption pairs."""
    kept = [one for pair in recorded for one in pair.candidates if one.kept]
    return Yielded(
        pairs=len(recorded),
        served=sum(any(one.kept for one in pair.candidates) for pair in recorded),
        kept=len(kept),
        candidates=sum(len(pair.candidates) for pair in recorded),
        rows=sum(pair.rows for pair in recorded),
        direction=sum(one.scores[2] for one in kept) / max(1, len(kept)),
        image=sum(one.scores[3] for one in kept) / max(1, len(kept)),
    )


def table(ways: Mapping[str, Sequence[Recorded]]) -> Table:
    """A row a way."""
    drawn = Table(title="Rows for a kept pair of images")
    for column in (
        "way",
        "pairs",
        "served",
        "kept",
        "candidates",
        "rows",
        "rows/kept",
        "sim_dir",
        "sim_image",
    ):
        drawn.add_column(column, justify="right")
    for way, recorded in ways.items():
        y = yielded(recorded)
        drawn.add_row(
            way,
            str(y.pairs),
            str(y.served),
            str(y.kept),
            str(y.candidates),
            str(y.rows),
            f"{y.rows_a_kept:.0f}",
            f"{y.direction:.3f}",
            f"{y.image:.3f}",
        )
    return drawn


def shipped(count: int) -> list[tuple[CaptionPair, str]]:
    """The first shipped caption pairs, each with its kind of edit."""
    with miniworld.CAPTIONS.open() as file:
        lines = [json.loads(line) for line in islice(file, count)]
    return [(CaptionPair(line["input"], line["edit"], line["output"]), line["kind"]) for line in lines]


def main() -> None:
    """Records what is missing and prints the tables: each way's, and that of the pairs that all ways have."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.yield_", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--ways", nargs="+", choices=[*WAYS, *FURTHER], default=list(WAYS))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no pair is begun after these")
    parser.add_argument("--folder", type=Path, default=Path("runs/yield"))
    parser.add_argument("--more", nargs="*", default=[], help="further settings for every way: key=value")
    options = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    pairs, started, found = shipped(options.pairs), time.perf_counter(), {}
    for way in options.ways:
        settings = [*{**WAYS, **FURTHER}[way], *options.more]
        config = configured(settings)
        path = place(options.folder, way, settings, identify(config))
        for line in record(config, pairs, path, options.seconds - (time.perf_counter() - started)):
            print(f"{way}: {line}", flush=True)
        wanted = {pair.id for pair, _ in pairs}
        found[way] = [one for one in read(path) if one.pair in wanted]
    console = Console(width=130)
    console.print(table(found))
    common = set.intersection(*({one.pair for one in recorded} for recorded in found.values()))
    console.print(table({way: [o for o in recorded if o.pair in common] for way, recorded in found.items()}))


if __name__ == "__main__":
    main()
