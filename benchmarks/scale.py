"""What a run of millions of caption pairs costs its driver: planning, listing commits, packing. No model is needed.

python -m benchmarks.scale [--pairs 10000 100000 1000000 10000000] [--commits 100000] [--gigabytes 1]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.captions import write_captions
from benchmarks.results import markdown_table, write_section
from pipeline import settings
from pipeline.funnel import funnel_of
from pipeline.pack import pack
from pipeline.plan import Plan, make_or_resume
from stages import tarball, write
from stages.records import Unit, UnitResult
from stages.sealed import seal
from stages.store import Store

FIGURE = Path(__file__).parents[1] / "docs/figures/scale.png"
RECORDS = 10_000
IMAGE = 60_000  # bytes of an image of 512 × 512 as JPEG
SAMPLES = 16  # of a unit of four caption pairs, four kept of each


def plan_once(folder: Path, pairs: int) -> dict[str, float]:
    """Plan ``pairs`` caption pairs in this process, then resume: seconds of either, and the peak of memory in MiB."""
    captions = folder / "pairs.jsonl"
    settled = ["captions=jsonl", f"captions.path={captions}", f"out={folder / 'out'}", "unit_pairs=4"]
    config = settings.checked(settings.compose(settled))
    store, seconds = Store(config.out), []
    for _ in range(2):
        started = time.perf_counter()
        plan = make_or_resume(store, config)
        seconds.append(time.perf_counter() - started)
    assert (plan.pairs, plan.quarantined) == (pairs, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"plan": seconds[0], "resume": seconds[1], "peak": peak}


def planning(counts: Sequence[int]) -> list[tuple[int, dict[str, float]]]:
    """Each count in a process of its own, as the peak of memory is the process's."""
    measured = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            write_captions(Path(folder) / "pairs.jsonl", count)
            command = [sys.executable, "-m", "benchmarks.scale", "--plan-once", folder, "--pairs", str(count)]
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


def packing(gigabytes: float) -> tuple[float, float]:
    """MB/s of packing parts of so many bytes in all, and of copying them with ``cp`` and a flush to the disk."""
    size = SAMPLES * 2 * IMAGE
    count = int(gigabytes * 1e9 / size)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        draw, commits = np.random.default_rng(0), []
        for unit in range(count):
            data = _part(unit, draw)
            name = f"{write.PARTS}/{unit:08d}-bench.samples.tar"
            store.write(name, data)
            file = {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            commits.append({**_commit(unit), "part": {"samples": file}})
        started = time.perf_counter()
        pack(store, commits, RECORDS)
        packed = time.perf_counter() - started
        copied = Path(folder) / "copy"
        started = time.perf_counter()
        subprocess.run(["cp", "-r", store.path(write.PARTS), str(copied)], check=True)
        for file in copied.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        copying = time.perf_counter() - started
    return count * size / 1e6 / packed, count * size / 1e6 / copying


def _part(unit: int, draw: np.random.Generator) -> bytes:
    members = []
    for sample in range(SAMPLES):
        key = f"{unit:012x}{sample:04x}-000"
        members += [
            (f"{key}.edit_prompt.txt", b"make it blue"),
            (f"{key}.edited_image.jpg", draw.bytes(IMAGE)),
            (f"{key}.input_image.jpg", draw.bytes(IMAGE)),
            (f"{key}.json", b"{}"),
        ]
    return tarball.pack_members(members)


def _commit(unit: int) -> dict:
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
    packed, copied = packing(given.gigabytes)
    print(f"packing {packed:.0f} MB/s, cp {copied:.0f} MB/s", flush=True)
    measured = planning(given.pairs)
    draw_figure(measured)
    rows = [
        [
            f"{count:,}",
            f"{one['plan']:.1f}",
            f"{count / one['plan']:,.0f}",
            f"{one['resume']:.1f}",
            f"{one['peak']:,.0f}",
        ]
        for count, one in measured
    ]
    columns = ["caption pairs", "planned in, s", "pairs a second", "resumed in, s", "peak memory, MiB"]
    write_section(
        "Scale (`make bench-scale`)",
        "JSON Lines of some 270 bytes, units of four, one core, local disk; reading, checking, counting tokens, "
        "finding duplicates, writing the units. Resuming takes the digest of the unchanged input file. "
        "Figure: docs/figures/scale.png.\n\n"
        + markdown_table(columns, rows)
        + f"\n\n{given.commits:,} commits are listed, read, held to their digests and counted in {seconds:.1f} s. "
        f"Packing {given.gigabytes:g} GB of images writes {packed:,.0f} MB/s, `cp` of the same bytes and a flush of "
        f"every file {copied:,.0f} MB/s: {packed / copied:.0%}.",
    )


if __name__ == "__main__":
    main()
