"""Estimates a run of images from its whole input and a short probe on this machine."""

from __future__ import annotations

import math
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import pyarrow as pa

from conf.schema import Config, Shards
from pipeline.dataset.funnel import Funnel
from pipeline.planning.plan import PlanError
from pipeline.tasks.image_task import ImageTask
from stages.formats import parquet_tables, tar
from stages.formats.previews import to_bytes
from stages.images.place import image_root, kept_images
from stages.records import CaptionPair, Place, Preview, Quarantined, Unit, UnitResult
from stages.storage.store import Store
from stages.worker.process import describe_place, load_stage
from stages.write import summarise

WORKERS = (1, 8, 64)
POOL_PAIRS, POOL_UNITS = 256, 64
"""A probe has at most so many pairs, or units of them. Millions of pairs do not fit into memory."""
UNIT_SECONDS = 20.0
"""Units of a probe that would take longer have fewer pairs."""
PAIR_SECONDS = 120.0
"""The first pair may take this long, or six times as long as the probe."""
PACK_RATE = 350e6
"""Bytes that one process packs in a second on a local disk (benchmarks/RESULTS.md)."""


class ProbedStage(Protocol):
    """A stage that is set up somewhere."""

    place: Place

    def __call__(self, unit: Unit) -> UnitResult:
        """Make a unit."""


MakeStage = Callable[[Config, str], ProbedStage]
"""Sets up the stage that the configuration names, with the fingerprint of the model."""


class StageHere:
    """The stage in this process."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        self._stage = load_stage(config.stage)(config, model_fingerprint)
        self.place = describe_place()

    def __call__(self, unit: Unit) -> UnitResult:
        result: UnitResult = self._stage(unit)
        return result


@dataclass(frozen=True)
class Probe:
    """The counts of some pairs, and the seconds that one worker with loaded and warm models took for them.

    Previews count in neither ``seconds`` nor ``bytes``, those of the parts, because a run makes them for its first
    pairs alone. ``packed_bytes`` are those of the shards and the packed scores.
    """

    pairs: int
    failed: int
    seconds: float
    candidates: int
    rows: int
    samples: int
    bytes: int
    packed_bytes: int
    host: str
    device: str


@dataclass(frozen=True)
class Estimate:
    """The counts of the whole run; ``reasons`` counts the quarantined lines.

    ``bytes`` are those of the parts, ``preview_bytes`` among them: the previews and the thumbnails. ``hours`` are those
    of the units by the number of workers. To them come the seconds of a worker for loading its models and warming up,
    those of the previews, and those of packing. A range holds the count of the run in about 19 of 20 cases.
    ``gpu_hours`` is None if the probe had no GPU; ``cost`` is None too without ``cluster.price_per_gpu_hour``.
    """

    pairs: int
    quarantined: int
    reasons: dict[str, int]
    units: int
    probe: Probe
    candidates: int
    rows: int
    samples: int
    samples_range: tuple[int, int]
    bytes: int
    bytes_range: tuple[int, int]
    preview_bytes: int
    packed_bytes: int
    packed_bytes_range: tuple[int, int]
    hours: dict[int, float]
    gpu_hours: float | None
    cost: float | None
    start_seconds: float
    preview_seconds: float
    pack_seconds: float


def estimate(config: Config, probe_seconds: float, make_stage: MakeStage = StageHere) -> Estimate:
    """Probe for about ``probe_seconds``, at least one unit of pairs drawn from the whole input, and extrapolate.

    Raises PlanError for an input without a good pair, if every pair of the probe fails or the first takes minutes, and
    as ``pipeline.tasks.prior_from.freeze_priors`` does.
    """
    if image_root(config.captions, config.out) != kept_images(config.out):
        return _estimate(config, probe_seconds, make_stage)
    # Images that have no file are stored for the probe alone.
    with tempfile.TemporaryDirectory(prefix="pairforge-") as folder:
        stored = replace(config, captions=replace(config.captions, images=folder))
        return _estimate(stored, probe_seconds, make_stage)


def _estimate(config: Config, probe_seconds: float, make_stage: MakeStage) -> Estimate:
    task = ImageTask(config).freeze(Store(config.out))
    config = task.config
    pool, pairs, reasons = _draw(task)
    if not pairs:
        raise PlanError(
            f"captions.path={config.captions.path}: none of {reasons.total()} lines is a good caption pair"
        )
    probed, start_seconds, place = _probe(task, pool, probe_seconds, pairs, make_stage)
    funnel, factor = probed.funnel, pairs / probed.funnel.pairs
    if funnel.failed == funnel.pairs:
        raise PlanError(f"each of the {funnel.pairs} pairs of the probe failed: {probed.reason}")
    low, high = probed.samples_range(pairs)
    counts = (funnel.samples * factor, low, high)
    previews = probed.preview_bytes(config, pairs)
    packed, *packed_range = (probed.packed_bytes(config.shards, count, factor) for count in counts)
    parts, *parts_range = (round(probed.part_bytes(count, factor)) + previews for count in counts)
    hours, price = probed.seconds * factor / 3600, config.cluster.price_per_gpu_hour
    # A worker has a GPU of its own if nothing else is set.
    gpu_hours = hours * (config.cluster.gpus_per_worker or 1.0) if place.device != "cpu" else None
    return Estimate(
        pairs=pairs,
        quarantined=reasons.total(),
        reasons=dict(reasons.most_common()),
        units=-(-pairs // config.unit_pairs),
        probe=Probe(
            pairs=funnel.pairs,
            failed=funnel.failed,
            seconds=probed.seconds,
            candidates=funnel.candidates,
            rows=funnel.rows,
            samples=funnel.samples,
            bytes=round(probed.part_bytes(funnel.samples, 1.0)),
            packed_bytes=probed.packed_bytes(config.shards, funnel.samples, 1.0),
            host=place.host,
            device=place.device,
        ),
        candidates=round(funnel.candidates * factor),
        rows=round(funnel.rows * factor),
        samples=round(funnel.samples * factor),
        samples_range=(low, high),
        bytes=parts,
        bytes_range=(parts_range[0], parts_range[1]),
        preview_bytes=previews,
        packed_bytes=packed,
        packed_bytes_range=(packed_range[0], packed_range[1]),
        hours={workers: hours / workers for workers in WORKERS},
        gpu_hours=gpu_hours,
        cost=None if price is None or gpu_hours is None else gpu_hours * price,
        start_seconds=start_seconds,
        preview_seconds=probed.preview_seconds(config, pairs),
        pack_seconds=packed / PACK_RATE,
    )


class _Probed:
    """Sums over the units of a probe; ``spare_bytes`` are those of a sample, for a probe that keeps none."""

    def __init__(self, spare_bytes: float) -> None:
        self.spare_bytes = spare_bytes
        self.funnel, self.reason, self.seconds = Funnel(), "", 0.0
        self.scores = list[pa.Table]()
        self.kept: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        # Of previews with and without attention maps.
        self.previews: Counter[bool] = Counter()
        self.preview_time = {True: 0.0, False: 0.0}
        self.thumbnailed = 0

    def add(self, result: UnitResult, seconds: float, task: ImageTask) -> None:
        """Add a unit that took ``seconds``."""
        self.funnel.add(summarise(result))
        self.reason = self.reason or next((failure.reason for failure in result.failures), "")
        self.kept.update(candidate.pair_id for candidate in result.candidates if candidate.kept)
        files = task.encode(result)
        self.bytes.update({kind: len(data) for kind, data in files.items()})
        if "scores" in files:
            self.scores.append(parquet_tables.from_bytes(files["scores"]))
        if "samples" in files:
            self.bytes["members"] += tar.sample_ends(files["samples"])[-1]
        shown = result.seconds.get("preview", 0.0) if result.previews or result.thumbnails else 0.0
        self.seconds += seconds - shown
        if result.previews:
            # Only the first of these pairs have attention maps, which take most of the time.
            maps = sum(bool(preview.maps) for preview in result.previews)
            self.previews.update({True: maps, False: len(result.previews) - maps})
            self.preview_time[maps > 0] += shown
            plain = to_bytes([replace(preview, maps=()) for preview in result.previews])
            self.bytes["maps"] += len(files["previews"]) - len(plain)
        first, sheet = result.unit.index * task.config.unit_pairs, task.config.sheet
        self.thumbnailed += sum(sheet.shows_rejected(first + n) for n in range(len(result.unit.pairs)))

    def samples_range(self, pairs: int) -> tuple[int, int]:
        """The least and the most samples of ``pairs`` pairs: two standard errors of the mean of the pairs drawn.

        A probe that keeps few samples knows little of their variance: it is at least that of a rare event.
        """
        probed, samples = self.funnel.pairs, self.funnel.samples
        mean = samples / probed
        variance = sum(count**2 for count in self.kept.values()) / probed - mean**2
        variance = max(variance, 2 / probed)
        error = math.sqrt(variance / probed * (1 - probed / pairs))
        low = max(samples, round(pairs * (mean - 2 * error)))
        return low, max(low, round(pairs * (mean + 2 * error)))

    def packed_bytes(self, shards: Shards, samples: float, factor: float) -> int:
        """The bytes of shards of ``samples`` samples, and of the scores of ``factor`` times the candidates."""
        members = samples * self._bytes_a_sample("members")
        count = max(1, math.ceil(samples / shards.samples))
        closing = len(tar.closing_blocks(round(members / count))) * count if samples else 0
        # A file of scores has a footer that does not grow with it.
        table = pa.concat_tables(self.scores)
        half = table.slice(0, table.num_rows // 2)
        size = len(parquet_tables.to_bytes(table))
        growth = (size - len(parquet_tables.to_bytes(half))) / (table.num_rows - half.num_rows)
        return round(members + closing + size + growth * table.num_rows * (factor - 1))

    def part_bytes(self, samples: float, factor: float) -> float:
        """The bytes of the parts of ``samples`` samples and ``factor`` times the candidates, without previews."""
        others = self.bytes["scores"] + self.bytes["rejected"]
        return samples * self._bytes_a_sample("samples") + others * factor

    def _bytes_a_sample(self, kind: str) -> float:
        return self.bytes[kind] / self.funnel.samples if self.funnel.samples else self.spare_bytes

    def preview_bytes(self, config: Config, pairs: int) -> int:
        """The bytes of the previews and thumbnails of ``pairs`` pairs."""
        shown = min(config.sheet.pairs, pairs)
        plain = (self.bytes["previews"] - self.bytes["maps"]) / max(1, self.previews.total())
        maps = self.bytes["maps"] / max(1, self.previews[True])
        thumbnailed = sum(map(config.sheet.shows_rejected, range(pairs)))
        thumbnails = self.bytes["thumbnails"] / max(1, self.thumbnailed) * thumbnailed
        return round(shown * plain + min(shown, config.sheet.attention) * maps + thumbnails)

    def preview_seconds(self, config: Config, pairs: int) -> float:
        """The seconds for the previews of ``pairs`` pairs."""
        shown = min(config.sheet.pairs, pairs)
        maps = min(shown, config.sheet.attention)
        drawn, plain = (self.preview_time[drawn] / max(1, self.previews[drawn]) for drawn in (True, False))
        return maps * drawn + (shown - maps) * plain


def _draw(task: ImageTask) -> tuple[list[CaptionPair], int, Counter[str]]:
    """Draw pairs at random from the whole input, the same ones each time, in an order that is random too.

    Return them, the number of all pairs, and the quarantined lines by reason.
    """
    chance, size = random.Random(0), max(POOL_PAIRS, POOL_UNITS * task.config.unit_pairs)
    pool, pairs, reasons = list[CaptionPair](), 0, Counter[str]()
    for item in task.read():
        if isinstance(item, Quarantined):
            reasons[item.reason] += 1
            continue
        pairs += 1
        if len(pool) < size:
            pool.append(item)
        elif (place := chance.randrange(pairs)) < size:
            pool[place] = item
    chance.shuffle(pool)
    return pool, pairs, reasons


def _probe(
    task: ImageTask, pool: Sequence[CaptionPair], seconds: float, pairs: int, make_stage: MakeStage
) -> tuple[_Probed, float, Place]:
    """Return the probe, the seconds in which the models loaded and warmed up, and where that was."""
    config = task.config
    # The first pair has a preview in any case: its pictures have the size of a sample.
    sheet = replace(config.sheet, pairs=max(1, config.sheet.pairs))
    began = time.perf_counter()
    generate = make_stage(replace(config, sheet=sheet), task.identify().generator)
    # The first pair warms up memory, kernels and a compiled denoiser.
    images = any(pair.image for pair in pool)
    warming = time.perf_counter()
    with _limit(max(PAIR_SECONDS, 6 * seconds), pairs):
        first = generate(Unit(0, (pool[0],), images))
    ended = time.perf_counter()
    probed = _Probed(_sample_bytes(first.previews[0], config.shards) if first.previews else 0.0)
    longest = max(UNIT_SECONDS, seconds)
    if ended - warming > longest:
        probed.add(first, ended - warming, task)
        return probed, warming - began, generate.place
    unit_pairs = max(1, min(config.unit_pairs, int(longest / (ended - warming))))
    # Without a sheet, the unit whose first pair has a preview is left out.
    for index, place in enumerate(range(0, len(pool), unit_pairs), 0 if config.sheet.pairs else 1):
        unit = Unit(index, tuple(pool[place : place + unit_pairs]), images)
        unit_began = time.perf_counter()
        result = generate(unit)
        probed.add(result, time.perf_counter() - unit_began, task)
        if probed.seconds >= seconds:
            break
    return probed, ended - began, generate.place


class _SlowPair(BaseException):
    """The time is over. A stage would catch an Exception, as a failure of the pair."""


@contextmanager
def _limit(seconds: float, pairs: int) -> Iterator[None]:
    """Raise PlanError in the block after ``seconds``. Only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise _SlowPair

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _SlowPair:
        raise PlanError(
            f"a caption pair takes more than {seconds:.0f} s on this machine, and {pairs:,} pairs more than "
            f"{seconds * pairs / 3600:,.0f} hours on one worker like it: give probe=SECONDS for a longer probe"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _sample_bytes(preview: Preview, shards: Shards) -> float:
    """The bytes of a sample with the pictures of a preview."""
    source, edit = (
        tar.encode_image(tar.decode_image(image), shards.format, shards.quality)
        for image in (preview.source, preview.edits[0])
    )
    metadata = asdict(preview.pair) | asdict(preview.candidates[0])
    files = tar.sample_files(source, edit, preview.pair.edit, metadata, tar.EXTENSIONS[shards.format])
    return tar.sample_ends(tar.write_samples([(preview.pair.id, files)]))[-1]
