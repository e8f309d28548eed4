"""Idle time between the units of a worker, the overhead of the engine. Needs no model.

The workers are a run's own, Ray actors each with its process, and everything else of a run happens: units are read,
parts are written and committed, counts are kept. Only the work is replaced by a sleep, whose begin and end the worker
notes. The driver's load depends on the units a second alone, so a quarter of the workers with units a quarter as long
load it equally. Sixty-four workers need some 16 GB of memory, and minutes to start on few cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common.markdown import markdown_table
from benchmarks.common.results_file import publish
from benchmarks.scale.synthetic_captions import write_captions
from stages.records import Candidate, CaptionPair, Unit, UnitResult

if TYPE_CHECKING:
    from conf.schema import Config

UNIT = 60.0  # seconds of a unit that the share refers to
TIMES = "times"
CANDIDATES = 100


class SleepingStage:
    """A stage that sleeps for the seconds in the file ``seconds`` and rejects a hundred candidates a caption pair."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        self.times = Path(config.out).parent / TIMES
        self.seconds = float((self.times / "seconds").read_text())

    def __call__(self, unit: Unit) -> UnitResult:
        started = time.time()
        time.sleep(self.seconds)
        candidates = tuple(_rejected(pair, number) for pair in unit.pairs for number in range(CANDIDATES))
        result = UnitResult(unit, (), candidates, (), (), 1, {"denoise": self.seconds})
        with (self.times / f"{os.getpid()}.jsonl").open("a") as stream:
            stream.write(json.dumps([unit.index, started, time.time()]) + "\n")
        return result


@dataclass(frozen=True)
class Gaps:
    """Seconds between the units of each worker; ``wall`` spans from the first begin to the last end."""

    workers: int
    seconds: float
    gaps: tuple[float, ...]
    wall: float

    @property
    def share(self) -> float:
        """The mean gap as a share of gap and unit, for units of 60 s."""
        mean = statistics.mean(self.gaps)
        return mean / (mean + UNIT)


def measure(workers: int, seconds: float, units: int) -> Gaps:
    """Run ``units`` units for each worker, with the driver in this process."""
    # Every worker imports this module for its stage, which should not import the pipeline.
    from pipeline.config import resolve
    from pipeline.execution.run import run

    with tempfile.TemporaryDirectory() as folder:
        path = write_captions(Path(folder) / "pairs.jsonl", workers * units)
        times = Path(folder) / TIMES
        times.mkdir()
        (times / "seconds").write_text(str(seconds))
        settings = [
            "captions=jsonl",
            f"captions.path={path}",
            f"out={folder}/out",
            "unit_pairs=1",
            "sheet.pairs=0",
        ]
        settings += ["stage=benchmarks.scale.unit_gaps.SleepingStage", f"cluster.workers={workers}"]
        run(resolve.checked(resolve.compose(settings)))
        notes = [
            [json.loads(line) for line in file.read_text().splitlines()] for file in times.glob("*.jsonl")
        ]
    return gaps_of(notes, seconds)


def gaps_of(notes: Sequence[Sequence[tuple[int, float, float]]], seconds: float) -> Gaps:
    """Gaps from each worker's (unit, begin, end) in order. The first unit of each is warm-up and has no gap."""
    gaps = [later[1] - earlier[2] for worker in notes for earlier, later in itertools.pairwise(worker[1:])]
    begin = min(worker[0][1] for worker in notes)
    return Gaps(len(notes), seconds, tuple(gaps), max(worker[-1][2] for worker in notes) - begin)


def section(measured: Sequence[Gaps]) -> str:
    """The text of the section in RESULTS.md."""
    records = []
    for run in measured:
        ms = sorted(1000 * gap for gap in run.gaps)
        tail = ms[int(0.99 * (len(ms) - 1))], ms[-1]
        averages = statistics.median(ms), statistics.mean(ms)
        rate = run.workers / run.seconds
        records.append((run.workers, run.seconds, rate, len(ms), *averages, *tail, run.share))
    columns = [
        *("workers", "unit, s:g", "units a second:.2f", "gaps", "median, ms:.0f", "mean, ms:.0f"),
        *("99 %, ms:.0f", "most, ms:.0f", f"share of {UNIT:.0f} s:.2%"),
    ]
    return (
        "Gap between the end of a worker's unit and the begin of its next, in whole runs of the engine with a sleep in "
        "place of the work, without each worker's first unit. The share is that of the mean gap in a unit of "
        f"{UNIT:.0f} s.\n\n" + markdown_table(columns, records)
    )


def _rejected(pair: CaptionPair, number: int) -> Candidate:
    return Candidate(pair.id, number, number, 0.5, 7.5, 0.3, 0.3, 0.1, 0.9, False, "clip_sim_dir")


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.unit_gaps", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[64])
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[60.0], help="of a unit, one for each --workers"
    )
    parser.add_argument("--units", type=int, default=4, help="for each worker (default 4)")
    options = parser.parse_args()
    if len(options.workers) != len(options.seconds):
        sys.exit("give as many --seconds as --workers")
    # With many processes on few cores the last ones start later than Ray's default minute and would be replaced.
    os.environ.setdefault("RAY_worker_register_timeout_seconds", "900")
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(2 * (os.cpu_count() or 1)))
    runs = zip(options.workers, options.seconds, strict=True)
    measured = [measure(workers, seconds, options.units) for workers, seconds in runs]
    publish("Engine overhead", "benchmarks.scale.unit_gaps", section(measured))


if __name__ == "__main__":
    main()
