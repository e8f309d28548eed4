"""What the engine takes of a unit's time: what lies between the units of a worker. No model is needed.

python -m benchmarks.scale.unit_gaps [--workers 64] [--seconds 60] [--units 4]

The workers are a run's own, Ray actors each with its process, and all that a run does is done: units are read, parts
written and committed, figures kept. Only the work itself is a sleep, of which the worker notes begin and
end. What a driver has to do goes by the number of units a second, so that a quarter of the workers with units a
quarter as long ask as much of it.

Sixty-four workers want some 16 GB of memory, and minutes to start on a machine of few cores.
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
from benchmarks.common.results_file import write_section
from benchmarks.scale.synthetic_captions import write_captions
from stages.records import Candidate, CaptionPair, Unit, UnitResult

if TYPE_CHECKING:
    from conf.schema import Config

UNIT = 60.0  # seconds of a unit to which the share is reckoned
TIMES = "times"
CANDIDATES = 100


class Asleep:
    """A stage of a hundred candidates a caption pair, none kept, that sleeps for what the folder's ``seconds`` says."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        self.times = Path(config.out).parent / TIMES
        self.seconds = float((self.times / "seconds").read_text())

    def __call__(self, unit: Unit) -> UnitResult:
        begun = time.time()
        time.sleep(self.seconds)
        candidates = tuple(_rejected(pair, number) for pair in unit.pairs for number in range(CANDIDATES))
        result = UnitResult(unit, (), candidates, (), (), 1, {"denoise": self.seconds})
        with (self.times / f"{os.getpid()}.jsonl").open("a") as stream:
            stream.write(json.dumps([unit.index, begun, time.time()]) + "\n")
        return result


@dataclass(frozen=True)
class Gaps:
    """Seconds between a worker's units, of all workers; ``wall`` from the first unit's begin to the last one's end."""

    workers: int
    seconds: float
    gaps: tuple[float, ...]
    wall: float

    @property
    def share(self) -> float:
        """Of a unit of 60 s, what the mean gap takes."""
        mean = statistics.mean(self.gaps)
        return mean / (mean + UNIT)


def measure(workers: int, seconds: float, units: int) -> Gaps:
    """A run of ``units`` units for each worker, in this process."""
    # Imported here: every worker imports this module for ``Asleep``, and is to be as light as it can be.
    from pipeline.config import resolve
    from pipeline.execution.run import run

    with tempfile.TemporaryDirectory() as folder:
        path = write_captions(Path(folder) / "pairs.jsonl", workers * units)
        (Path(folder) / TIMES).mkdir()
        (Path(folder) / TIMES / "seconds").write_text(str(seconds))
        given = [
            "captions=jsonl",
            f"captions.path={path}",
            f"out={folder}/out",
            "unit_pairs=1",
            "sheet.pairs=0",
        ]
        given += ["stage=benchmarks.scale.unit_gaps.Asleep", f"cluster.workers={workers}"]
        run(resolve.checked(resolve.compose(given)))
        records = [
            [json.loads(line) for line in file.read_text().splitlines()]
            for file in (Path(folder) / TIMES).glob("*.jsonl")
        ]
    return gaps_of(records, seconds)


def gaps_of(records: Sequence[Sequence[tuple[int, float, float]]], seconds: float) -> Gaps:
    """From each worker's units, (unit, begin, end) in order. The first unit of a worker is warm-up: the second begins
    the count."""
    gaps = [later[1] - earlier[2] for worker in records for earlier, later in itertools.pairwise(worker[1:])]
    begun = min(worker[0][1] for worker in records)
    return Gaps(len(records), seconds, tuple(gaps), max(worker[-1][2] for worker in records) - begun)


def section(measured: Sequence[Gaps]) -> str:
    """The text of RESULTS.md's section."""
    rows = []
    for one in measured:
        last = sorted(one.gaps)
        rows.append(
            [
                str(one.workers),
                f"{one.seconds:g}",
                f"{one.workers / one.seconds:.2f}",
                str(len(last)),
                f"{1000 * statistics.median(last):.0f}",
                f"{1000 * statistics.mean(last):.0f}",
                f"{1000 * last[int(0.99 * (len(last) - 1))]:.0f}",
                f"{1000 * last[-1]:.0f}",
                f"{one.share:.2%}",
            ]
        )
    columns = [
        "workers",
        "unit, s",
        "units a second",
        "gaps",
        "median, ms",
        "mean, ms",
        "99 %, ms",
        "most, ms",
    ]
    return (
        "The gap between the end of a worker's unit and the begin of its next, in whole runs by the command's own "
        "engine with a sleep for the work, each worker's first unit cut off. The share is the mean gap's of a unit "
        f"of {UNIT:.0f} s; how much the driver has to do goes by the units a second.\n\n"
        + markdown_table([*columns, f"share of {UNIT:.0f} s"], rows)
    )


def _rejected(pair: CaptionPair, number: int) -> Candidate:
    return Candidate(pair.id, number, number, 0.5, 7.5, 0.3, 0.3, 0.1, 0.9, False, "clip_sim_dir")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[64])
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0])
    parser.add_argument("--units", type=int, default=4)
    given = parser.parse_args()
    if len(given.workers) != len(given.seconds):
        sys.exit("give as many --seconds as --workers")
    # Of so many processes on few cores the last begin after Ray's minute, and would be given up and begun anew.
    os.environ.setdefault("RAY_worker_register_timeout_seconds", "900")
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(2 * (os.cpu_count() or 1)))
    measured = [
        measure(workers, seconds, given.units)
        for workers, seconds in zip(given.workers, given.seconds, strict=True)
    ]
    print(section(measured))
    write_section("Engine overhead (`python -m benchmarks.scale.unit_gaps`)", section(measured))


if __name__ == "__main__":
    main()
