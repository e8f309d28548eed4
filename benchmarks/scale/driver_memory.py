"""The driver's memory and speed over the number of units: run, pack, report, resume, with a stage without a model."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.markdown import markdown_table
from benchmarks.common.peak_memory import process_peak
from benchmarks.common.results_file import publish
from benchmarks.scale.synthetic_captions import write_captions

UNIT_PAIRS = 4
SECONDS_BETWEEN_LOOKS = 0.05


def measure(arguments: Sequence[str]) -> tuple[float, float]:
    """Run the command; return its seconds and the peak of its own process in MiB, without its workers."""
    started, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
    )
    while process.poll() is None:
        peak = max(peak, process_peak(process.pid))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise RuntimeError(process.stdout.read() if process.stdout else "")
    return time.perf_counter() - started, peak


def run(units: int, workers: int) -> dict[str, float]:
    """Make, resume and report a run of so many units. Seconds, and MiB of the driver at most."""
    with tempfile.TemporaryDirectory() as folder:
        write_captions(Path(folder) / "pairs.jsonl", units * UNIT_PAIRS)
        out = f"{folder}/out"
        settings = [
            "captions=jsonl",
            f"captions.path={folder}/pairs.jsonl",
            f"out={out}",
            f"unit_pairs={UNIT_PAIRS}",
            f"cluster.workers={workers}",
            "stage=benchmarks.scale.fake_stage.Fake",
        ]
        seconds, peak = measure(settings)
        resumed, resume_peak = measure(settings)
        reported, report_peak = measure(["report", out])
    return {
        "units": units,
        "seconds": seconds,
        "rate": units / seconds,
        "peak": peak,
        "resumed": resumed,
        "resume_peak": resume_peak,
        "reported": reported,
        "report_peak": report_peak,
    }


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.driver_memory", description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[2_000, 10_000, 50_000, 200_000])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    measured = []
    for units in options.units:
        measured.append(run(units, options.workers))
        print(measured[-1], flush=True)
    columns = [
        *("units:,", "run, s:,.0f", "units a second:.1f", "driver's peak, MiB:,.0f"),
        *("resumed, s:.1f", "peak, MiB:,.0f", "report, s:.1f", "peak, MiB:,.0f"),
    ]
    growth = ""
    if len(measured) > 1:
        first, last = measured[0], measured[-1]
        kilobytes = (last["peak"] - first["peak"]) * 1024 / (last["units"] - first["units"])
        growth = f"\n\nFrom the fewest to the most units the driver grew by {kilobytes:.2f} kB a unit."
    publish(
        "The driver's memory",
        "benchmarks.scale.driver_memory",
        f"Units of {UNIT_PAIRS} caption pairs, each with four candidates and one sample kept, made by a stage without "
        f"a model on {options.workers} workers, packed beside the run, with the report. Resuming finds all done.\n\n"
        + markdown_table(columns, [tuple(record.values()) for record in measured])
        + growth,
    )


if __name__ == "__main__":
    main()
