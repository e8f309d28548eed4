"""Driver costs of a run of millions of caption pairs: planning, listing commits, packing. Needs no model."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.common.markdown import markdown_table
from benchmarks.common.peak_memory import process_peak
from benchmarks.common.results_file import FIGURES, publish
from benchmarks.scale.synthetic_captions import write_captions
from pipeline.config import resolve
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import MANIFEST, pack
from pipeline.planning.plan import Plan, make_or_resume
from pipeline.tasks.task import task_of
from stages import write
from stages.formats import tar
from stages.records import Unit, UnitResult
from stages.storage.commits import COMMITS, PARTS, commit_name, committed_units, read_commits
from stages.storage.store import Store, seal

SHARD_SAMPLES = 10_000
IMAGES = {"64 × 64, PNG": 7_500, "512 × 512, JPEG": 60_000, "512 × 512, PNG": 350_000}  # bytes of one
REPEATS = 15
SAMPLES = 16  # of a unit of four caption pairs, four kept of each


def plan_once(folder: Path, pairs: int) -> dict[str, float]:
    """Plan the caption pairs of ``folder`` in this process, then resume.

    Returns:
        Seconds of both; the processor's seconds of planning, helper processes included; the peak of memory in MiB, of
        this process and of the largest helper (0 without helpers).
    """
    settings = [
        "captions=jsonl",
        f"captions.path={folder / 'pairs.jsonl'}",
        f"out={folder / 'out'}",
        "unit_pairs=4",
    ]
    config = resolve.checked(resolve.compose(settings))
    store, seconds, cpu = Store(config.out), [], []
    for _ in range(2):
        started, cpu_before = time.perf_counter(), sum(os.times()[:4])
        plan = make_or_resume(store, task_of(config))
        seconds.append(time.perf_counter() - started)
        cpu.append(sum(os.times()[:4]) - cpu_before)
    assert (plan.pairs, plan.quarantined) == (pairs, 0)
    helper = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"plan": seconds[0], "cpu": cpu[0], "resume": seconds[1], "peak": process_peak(), "helper": helper}


def planning(counts: Sequence[int]) -> list[tuple[int, dict[str, float]]]:
    """Plan each count in a process of its own, since peak memory is counted per process."""
    measured = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write_captions(Path(folder) / "pairs.jsonl", count)
            module = ["-m", "benchmarks.scale.large_runs"]
            command = [sys.executable, *module, "--plan-once", folder, "--pairs", str(count)]
            process = subprocess.run(command, check=True, capture_output=True, text=True)
        measured.append((count, json.loads(process.stdout.splitlines()[-1])))
        print(*measured[-1], flush=True)
    return measured


def listing(count: int) -> float:
    """Seconds to list, read, verify and count ``count`` commits, as a resumed run does."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        (Path(folder) / COMMITS).mkdir(parents=True)
        for unit in range(count):
            Path(store.path(commit_name(unit))).write_text(seal(_commit(unit)))
        started = time.perf_counter()
        units = sorted(committed_units(store))
        funnel = funnel_of(Plan(count, 4 * count, 0, {}, ()), read_commits(store, units))
        assert funnel.samples == SAMPLES * count
        return time.perf_counter() - started


def packing(gigabytes: float, image: int) -> tuple[float, float, float]:
    """MB/s of packing parts with images of ``image`` bytes, MB/s of ``cp`` of the resulting shards, and their ratio.

    Both read from memory, write the same bytes into as many files of the same size, and wait for the disk. They take
    turns; speeds and ratio are medians, since a disk's speed changes from minute to minute, less within a turn.
    """
    count = max(1, int(gigabytes * 1e9 / (SAMPLES * 2 * image)))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        random = np.random.default_rng(0)
        for unit in range(count):
            write.write_unit(store, {"samples": _part(unit, image, random)}, _commit(unit))
        commits = list(read_commits(store, range(count)))
        seconds: list[tuple[float, float]] = []
        for _ in range(REPEATS):
            shutil.rmtree(Path(folder) / "data", ignore_errors=True)
            shutil.rmtree(Path(folder) / "copy", ignore_errors=True)
            store.remove(MANIFEST)
            # Otherwise the first of the two would wait for the disk to remove the files.
            os.sync()
            started = time.perf_counter()
            files = pack(store, commits, SHARD_SAMPLES)
            packed = time.perf_counter()
            subprocess.run(["cp", "-r", "--reflink=never", f"{folder}/data", f"{folder}/copy"], check=True)
            for copy in (Path(folder) / "copy").iterdir():
                with copy.open("rb") as stream:
                    os.fsync(stream.fileno())
            seconds.append((packed - started, time.perf_counter() - packed))
        megabytes = sum(file.bytes for file in files) / 1e6
    pack_seconds, copy_seconds = (median(turn) for turn in zip(*seconds, strict=True))
    return megabytes / pack_seconds, megabytes / copy_seconds, median(cp / pack for pack, cp in seconds)


def _part(unit: int, image: int, random: np.random.Generator) -> bytes:
    return tar.write_samples(
        (
            f"{unit:012x}{sample:04x}-000",
            tar.sample_files(random.bytes(image), random.bytes(image), "make it blue", {}, "jpg"),
        )
        for sample in range(SAMPLES)
    )


def _commit(unit: int) -> dict[str, Any]:
    part = {"name": f"{PARTS}/{unit:08d}-0123456789ab.samples.tar", "bytes": 1, "sha256": "0" * 64}
    result = UnitResult(Unit(unit, ()), (), (), (), (), 0, {"sweep": 55.0, "score": 4.0, "encode": 1.0})
    counts = {"pairs": 4, "pairs_kept": 4, "candidates": 400, "samples": SAMPLES, "rows": 1000}
    rejected = {"clip_sim_dir": 384}
    return {**write.summarise(result), **counts, "rejected": rejected, "part": {"samples": part}}


def draw_figure(measured: Sequence[tuple[int, dict[str, float]]], path: Path) -> None:
    """Plot the speed of planning and the driver's peak memory over the number of caption pairs."""
    counts = [count for count, _ in measured]
    figure, (speed, memory) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    speed.plot(counts, [count / cost["plan"] for count, cost in measured], "o-")
    speed.set(xscale="log", xlabel="caption pairs", ylabel="pairs planned a second", ylim=(0, None))
    memory.plot(counts, [cost["peak"] for _, cost in measured], "o-", color="tab:red")
    memory.axhline(1536, color="grey", linestyle=":")
    memory.set(xscale="log", xlabel="caption pairs", ylabel="driver's peak memory, MiB", ylim=(0, 1600))
    for axes in (speed, memory):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure, plot, and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.large_runs", description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10**4, 10**5, 10**6, 10**7])
    parser.add_argument("--commits", type=int, default=100_000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--plan-once", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plan_once:
        print(json.dumps(plan_once(options.plan_once, options.pairs[0])))
        return
    seconds = listing(options.commits)
    print(f"{options.commits} commits: {seconds:.1f} s", flush=True)
    speeds = [(name, *packing(options.gigabytes, image)) for name, image in IMAGES.items()]
    measured = planning(options.pairs)
    draw_figure(measured, FIGURES / "scale.png")
    records = [
        (
            n,
            cost["plan"],
            n / cost["plan"],
            1e6 * cost["cpu"] / n,
            cost["resume"],
            cost["peak"],
            cost["helper"],
        )
        for n, cost in measured
    ]
    columns = [
        *("caption pairs:,", "planned in, s:.1f", "pairs a second:,.0f", "processor, µs a pair:.1f"),
        *("resumed in, s:.1f", "peak memory, MiB:,.0f", "largest helper, MiB:,.0f"),
    ]
    publish(
        "Scale",
        "benchmarks.scale.large_runs",
        "JSON Lines of some 270 bytes, units of four, local disk. Planning reads and checks the lines, counts tokens, "
        "finds duplicates and writes the units. Resuming takes the digest of the unchanged input. "
        "Figure: docs/figures/scale.png.\n\n"
        + markdown_table(columns, records)
        + f"\n\n{options.commits:,} commits are listed, read, verified and counted in {seconds:.1f} s.\n\n"
        f"Packing {options.gigabytes:g} GB beside `cp` of the same shards, both from memory and confirmed by the disk, "
        f"in turns, medians of {REPEATS}:\n\n"
        + markdown_table(["images", "pack, MB/s:,.0f", "cp, MB/s:,.0f", "share:.0%"], speeds),
    )


if __name__ == "__main__":
    main()
