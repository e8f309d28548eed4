"""What a run of millions of caption pairs costs its driver: planning, listing commits, packing. No model is needed.

python -m benchmarks.scale.large_runs [--pairs 10000 100000 1000000 10000000] [--commits 100000] [--gigabytes 1]
"""

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
from benchmarks.common.results_file import write_section
from benchmarks.scale.synthetic_captions import write_captions
from pipeline.config import resolve
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import MANIFEST, pack
from pipeline.planning.plan import Plan, make_or_resume
from pipeline.tasks.task import task_of
from stages import write
from stages.formats import tar
from stages.records import Unit, UnitResult
from stages.storage.checksum import seal
from stages.storage.store import Store

FIGURE = Path(__file__).parents[2] / "docs/figures/scale.png"
RECORDS = 10_000
IMAGES = {"64 × 64, PNG": 7_500, "512 × 512, JPEG": 60_000, "512 × 512, PNG": 350_000}  # bytes of one
REPEATS = 15
SAMPLES = 16  # of a unit of four caption pairs, four kept of each


def plan_once(folder: Path, pairs: int) -> dict[str, float]:
    """Plan ``pairs`` caption pairs in this process, then resume.

    Seconds of either, the processors' seconds of the first with those of its helpers, and the peak of memory in MiB,
    its own and that of the largest helper.
    """
    captions = folder / "pairs.jsonl"
    settled = ["captions=jsonl", f"captions.path={captions}", f"out={folder / 'out'}", "unit_pairs=4"]
    config = resolve.checked(resolve.compose(settled))
    store, seconds, cpu = Store(config.out), [], []
    for _ in range(2):
        started, used = time.perf_counter(), _processor_seconds()
        plan = make_or_resume(store, task_of(config))
        seconds.append(time.perf_counter() - started)
        cpu.append(_processor_seconds() - used)
    assert (plan.pairs, plan.quarantined) == (pairs, 0)
    return {"plan": seconds[0], "cpu": cpu[0], "resume": seconds[1], "peak": _peak(), "helper": _helper()}


def _processor_seconds() -> float:
    """Of this process, and of its children that have ended."""
    return sum(os.times()[:4])


def _helper() -> float:
    """MiB that no child of this process has gone beyond; 0 if it had none. A child begins with its parent's count."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _peak() -> float:
    """MiB that this process held at most: by Linux's own count, as getrusage's begins with that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def planning(counts: Sequence[int]) -> list[tuple[int, dict[str, float]]]:
    """Each count in a process of its own, as the peak of memory is the process's."""
    measured = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write_captions(Path(folder) / "pairs.jsonl", count)
            command = [
                sys.executable,
                "-m",
                "benchmarks.scale.large_runs",
                "--plan-once",
                folder,
                "--pairs",
                str(count),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        measured.append((count, json.loads(done.stdout.splitlines()[-1])))
        print(*measured[-1], flush=True)
    return measured


def listing(count: int) -> float:
    """Seconds to list and read ``count`` commits, held to their seals, and to count them in, as a resumed run does."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        (Path(folder) / write.COMMITS).mkdir(parents=True)
        for unit in range(count):
            Path(store.path(write.commit_name(unit))).write_text(seal(_commit(unit)))
        started = time.perf_counter()
        done = sorted(write.committed(store))
        funnel = funnel_of(Plan(count, 4 * count, 0, {}, ()), write.read_commits(store, done))
        assert funnel.samples == SAMPLES * count
        return time.perf_counter() - started


def packing(gigabytes: float, image: int) -> tuple[float, float, float]:
    """MB/s of packing parts of so many bytes in all, and of copying the shards that come of it with ``cp``; the share.

    So either reads what is in memory, writes the same bytes as equally many and large files, and has the disk confirm
    them. They take turns; medians, of the share too: a disk's speed changes from minute to minute, less within a turn.
    """
    size = SAMPLES * 2 * image
    count = max(1, int(gigabytes * 1e9 / size))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        draw, commits = np.random.default_rng(0), []
        for unit in range(count):
            data = _part(unit, image, draw)
            name = f"{write.PARTS}/{unit:08d}-bench.samples.tar"
            store.write(name, data)
            commits.append({**_commit(unit), "part": {"samples": write.described(name, data)}})
        seconds: list[tuple[float, float]] = []
        for _ in range(REPEATS):
            shutil.rmtree(Path(folder) / "data", ignore_errors=True)
            shutil.rmtree(Path(folder) / "copy", ignore_errors=True)
            store.remove(MANIFEST)
            # What is removed costs the disk time as well, and would be the first one's.
            os.sync()
            started = time.perf_counter()
            packed = pack(store, commits, RECORDS)
            between = time.perf_counter()
            subprocess.run(["cp", "-r", "--reflink=never", f"{folder}/data", f"{folder}/copy"], check=True)
            for copied in (Path(folder) / "copy").iterdir():
                with copied.open("rb") as stream:
                    os.fsync(stream.fileno())
            seconds.append((between - started, time.perf_counter() - between))
        megabytes = sum(file.bytes for file in packed) / 1e6
    packed_in, copied_in = (median(turn[way] for turn in seconds) for way in (0, 1))
    return megabytes / packed_in, megabytes / copied_in, median(two / one for one, two in seconds)


def _part(unit: int, image: int, draw: np.random.Generator) -> bytes:
    members = []
    for sample in range(SAMPLES):
        key = f"{unit:012x}{sample:04x}-000"
        members += [
            (f"{key}.edit_prompt.txt", b"make it blue"),
            (f"{key}.edited_image.jpg", draw.bytes(image)),
            (f"{key}.input_image.jpg", draw.bytes(image)),
            (f"{key}.json", b"{}"),
        ]
    return tar.pack_members(members)


def _commit(unit: int) -> dict[str, Any]:
    part = {"name": f"{write.PARTS}/{unit:08d}-0123456789ab.samples.tar", "bytes": 1, "sha256": "0" * 64}
    nothing = UnitResult(Unit(unit, ()), (), (), (), (), 0, {"sweep": 55.0, "score": 4.0, "encode": 1.0})
    counts = {"pairs": 4, "pairs_kept": 4, "candidates": 400, "samples": SAMPLES, "rows": 1000}
    return {
        **write.summary(nothing),
        **counts,
        "rejected": {"clip_sim_dir": 384},
        "part": {"samples": part},
    }


def draw_figure(measured: Sequence[tuple[int, dict[str, float]]], path: Path = FIGURE) -> None:
    counts = [count for count, _ in measured]
    figure, (speed, memory) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    speed.plot(counts, [count / one["plan"] for count, one in measured], "o-")
    speed.set(xscale="log", xlabel="caption pairs", ylabel="pairs planned a second", ylim=(0, None))
    memory.plot(counts, [one["peak"] for _, one in measured], "o-", color="tab:red")
    memory.axhline(1536, color="grey", linestyle=":")
    memory.set(xscale="log", xlabel="caption pairs", ylabel="driver's peak memory, MiB", ylim=(0, 1600))
    for axes in (speed, memory):
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10**4, 10**5, 10**6, 10**7])
    parser.add_argument("--commits", type=int, default=100_000)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--plan-once", type=Path)
    given = parser.parse_args()
    if given.plan_once:
        print(json.dumps(plan_once(given.plan_once, given.pairs[0])))
        return
    seconds = listing(given.commits)
    print(f"{given.commits} commits: {seconds:.1f} s", flush=True)
    speeds = []
    for name, image in IMAGES.items():
        packed, copied, share = packing(given.gigabytes, image)
        speeds.append([name, f"{packed:,.0f}", f"{copied:,.0f}", f"{share:.0%}"])
        print(*speeds[-1], flush=True)
    measured = planning(given.pairs)
    draw_figure(measured)
    rows = [
        [
            f"{count:,}",
            f"{one['plan']:.1f}",
            f"{count / one['plan']:,.0f}",
            f"{1e6 * one['cpu'] / count:.1f}",
            f"{one['resume']:.1f}",
            f"{one['peak']:,.0f}",
            f"{one['helper']:,.0f}",
        ]
        for count, one in measured
    ]
    columns = [
        "caption pairs",
        "planned in, s",
        "pairs a second",
        "processor, µs a pair",
        "resumed in, s",
        "peak memory, MiB",
        "of each helper, at most",
    ]
    write_section(
        "Scale (`make bench-scale`)",
        "JSON Lines of some 270 bytes, units of four, local disk; reading, checking, counting tokens, "
        "finding duplicates, writing the units. From some 64,000 pairs on, a process for each processor, four at most, "
        "helps. Resuming takes the digest of the unchanged input file. "
        "Figure: docs/figures/scale.png.\n\n"
        + markdown_table(columns, rows)
        + f"\n\n{given.commits:,} commits are listed, read, held to their digests and counted in {seconds:.1f} s.\n\n"
        f"Packing {given.gigabytes:g} GB beside `cp` of the same shards, both out of memory and confirmed by the disk, "
        f"in turns, medians of {REPEATS}; the disk has nothing left to do when either begins:\n\n"
        + markdown_table(["images", "pack, MB/s", "cp, MB/s", "share"], speeds),
    )


if __name__ == "__main__":
    main()
