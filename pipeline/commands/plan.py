"""``pairforge plan [settings]``: what a run would take, before anybody spends a cluster-week. Nothing is written."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from conf.compose import ConfigError
from conf.schema import Config
from pipeline.config import environment, resolve
from pipeline.execution.progress import clock
from pipeline.output import OutputMode, json_line, output_mode
from pipeline.planning.plan import PlanError
from stages.records import CaptionPair, Unit, UnitResult
from stages.storage.store import Store
from stages.worker import load_stage

if TYPE_CHECKING:
    from pipeline.tasks.image_task import ImageTask

PROBE_SECONDS = 20.0
WORKERS = (1, 8, 64)
BYTES_TOLD = ("kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True)
class Input:
    """What a plan would be made of: ``reasons`` counts the lines set aside; ``first`` are pairs to probe with."""

    pairs: int
    quarantined: int
    reasons: dict[str, int]
    first: tuple[CaptionPair, ...]


@dataclass(frozen=True)
class Probe:
    """What some pairs took on one worker here, its models loaded and warm; the counts and bytes are theirs."""

    pairs: int
    failed: int
    seconds: float
    candidates: int
    rows: int
    samples: int
    bytes: int


@dataclass(frozen=True)
class Estimate:
    """``hours`` is by the number of workers like the one probed; the counts are those of the whole run."""

    pairs: int
    quarantined: int
    reasons: dict[str, int]
    units: int
    probe: Probe
    candidates: int
    rows: int
    samples: int
    bytes: int
    hours: dict[int, float]


def plan(settings: Sequence[str], quiet: bool, json: bool) -> int:
    """Estimate a run: pairs, rows, hours, bytes. Writes nothing.

    Takes the settings of the run, reads its input and times a few caption pairs.

    probe=20             seconds of the probe

    Raises what a run raises before it begins: ConfigError, CaptionsError, ModelError, FilterError, PlanError.
    """
    mode = output_mode(quiet, json)
    probes = [setting for setting in settings if setting.startswith("probe=")]
    seconds = _seconds(probes[-1]) if probes else PROBE_SECONDS
    config = resolve.checked(resolve.compose([setting for setting in settings if setting not in probes]))
    environment.prepare(config)
    made = estimate(config, seconds)
    if mode is OutputMode.json:
        print(json_line(asdict(made)))
    elif mode is OutputMode.text:
        for text in told(made):
            Console(highlight=False, soft_wrap=True).print(text, markup=False)
    return 0


def estimate(config: Config, probe_seconds: float) -> Estimate:
    """Probe for about ``probe_seconds``, at least one unit of pairs, and multiply.

    Raises PlanError for an input without a good pair, and as ``pipeline.tasks.prior_from.freeze_priors`` does.
    """
    # Imported here, because the libraries read the environment when they are imported.
    from pipeline.tasks.image_task import ImageTask

    task = ImageTask(config).freeze(Store(config.out))
    config = task.config
    found = _input(task)
    if not found.pairs:
        raise PlanError(
            f"captions.path={config.captions.path}: none of {found.quarantined} lines is a good caption pair"
        )
    tried = _probe(task, found, probe_seconds)
    share = found.pairs / tried.pairs
    seconds = tried.seconds * share
    return Estimate(
        pairs=found.pairs,
        quarantined=found.quarantined,
        reasons=found.reasons,
        units=-(-found.pairs // config.unit_pairs),
        probe=tried,
        candidates=round(tried.candidates * share),
        rows=round(tried.rows * share),
        samples=round(tried.samples * share),
        bytes=round(tried.bytes * share),
        hours={workers: seconds / workers / 3600 for workers in WORKERS},
    )


def told(made: Estimate) -> Iterator[str]:
    """The lines for people."""
    probe = made.probe
    yield f"caption pairs  {made.pairs:,} in {made.units:,} units; {made.quarantined:,} lines would be quarantined"
    for reason, count in itertools.islice(made.reasons.items(), 3):
        yield f"               {count:,}: {reason}"
    yield f"candidates     {made.candidates:,}, of {made.rows:,} rows of the denoiser"
    yield (
        f"probe          {probe.pairs} pairs took {probe.seconds:.1f} s on one worker here "
        f"({probe.rows / probe.seconds:,.0f} rows/s); {probe.samples} samples were kept"
    )
    if probe.failed:
        yield f"               {probe.failed} of them failed: a run would quarantine such pairs"
    times = ", ".join(f"{clock(hours * 3600)} on {workers}" for workers, hours in made.hours.items())
    yield f"time           {times} workers like it"
    # Packing copies: the parts stay, so that a shard can be packed again.
    yield f"samples        {made.samples:,}; {size(made.bytes)} of parts, and as much again of shards and scores"
    yield "nothing was written; more pairs in the probe make it surer: probe=60"


def size(number: float) -> str:
    """Bytes in words, by thousands."""
    scaled, unit = number / 1000, 0
    while scaled >= 1000 and unit < len(BYTES_TOLD) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{scaled:.3g} {BYTES_TOLD[unit]}" if scaled < 100 else f"{scaled:.0f} {BYTES_TOLD[unit]}"


def _seconds(setting: str) -> float:
    try:
        seconds = float(setting.removeprefix("probe="))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(f"{setting}: give the probe's seconds, like probe=60")
    return seconds


def _input(task: ImageTask) -> Input:
    pairs, reasons, first = 0, Counter[str](), list[CaptionPair]()
    for found in task.read():
        reasons.update(line.reason for line in found.aside)
        pairs += len(found.pairs)
        # Enough for a probe of a minute or two; the rest of millions need not be held.
        first.extend(itertools.islice(found.pairs, 64 * task.config.unit_pairs - len(first)))
    return Input(pairs, reasons.total(), dict(reasons.most_common()), tuple(first))


def _probe(task: ImageTask, found: Input, seconds: float) -> Probe:
    config = task.config
    make = load_stage.make(config.stage, config, task.identify().generator)
    # A first pair warms up: memory, kernels, a compiled denoiser.
    make(Unit(0, found.first[:1]))
    results, spent = list[UnitResult](), 0.0
    for start in range(0, len(found.first), config.unit_pairs):
        began = time.perf_counter()
        results.append(make(Unit(len(results), found.first[start : start + config.unit_pairs])))
        spent += time.perf_counter() - began
        if spent >= seconds:
            break
    files = [task.encode(result) for result in results]
    return Probe(
        pairs=sum(len(result.unit.pairs) for result in results),
        failed=sum(len(result.failures) for result in results),
        seconds=spent,
        candidates=sum(len(result.candidates) for result in results),
        rows=sum(result.rows for result in results),
        samples=sum(len(result.samples) for result in results),
        bytes=sum(len(data) for part in files for data in part.values()),
    )
