"""Estimates a run of images from its whole input and a short probe on this machine."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from conf.schema import Config
from pipeline.dataset.funnel import Funnel
from pipeline.planning.plan import PlanError
from pipeline.tasks.image_task import ImageTask
from stages.formats import parquet_tables
from stages.formats.previews import to_bytes
from stages.formats.tar import sample_ends
from stages.records import CaptionPair, Preview, Quarantined, Unit
from stages.storage.store import Store
from stages.worker.process import load_stage
from stages.write import summarise

WORKERS = (1, 8, 64)


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


@dataclass(frozen=True)
class Estimate:
    """The counts of the whole run. ``hours`` by the number of workers; ``reasons`` counts the quarantined lines.

    ``bytes`` are those of the parts, ``preview_bytes`` among them: the previews and the thumbnails.
    """

    pairs: int
    quarantined: int
    reasons: dict[str, int]
    units: int
    probe: Probe
    candidates: int
    rows: int
    samples: int
    bytes: int
    preview_bytes: int
    packed_bytes: int
    hours: dict[int, float]


def estimate(config: Config, probe_seconds: float) -> Estimate:
    """Probe for about ``probe_seconds``, at least one unit of pairs, and multiply.

    Raises PlanError for an input without a good pair, if every pair of the probe fails, and as
    ``pipeline.tasks.prior_from.freeze_priors`` does.
    """
    task = ImageTask(config).freeze(Store(config.out))
    unit_pairs = task.config.unit_pairs
    pairs, reasons, probe_pairs = 0, Counter[str](), list[CaptionPair]()
    for item in task.read():
        if isinstance(item, Quarantined):
            reasons[item.reason] += 1
            continue
        pairs += 1
        # Enough for a probe of a minute or two. Millions of pairs do not fit into memory.
        if len(probe_pairs) < 64 * unit_pairs:
            probe_pairs.append(item)
    if not pairs:
        raise PlanError(
            f"captions.path={task.config.captions.path}: none of {reasons.total()} lines is a good caption pair"
        )
    probe, preview_bytes = _probe(task, probe_pairs, probe_seconds, pairs)
    factor = pairs / probe.pairs
    counted = ("candidates", "rows", "samples", "packed_bytes")
    return Estimate(
        pairs=pairs,
        quarantined=reasons.total(),
        reasons=dict(reasons.most_common()),
        units=-(-pairs // unit_pairs),
        probe=probe,
        **{name: round(getattr(probe, name) * factor) for name in counted},
        bytes=round(probe.bytes * factor) + preview_bytes,
        preview_bytes=preview_bytes,
        hours={workers: probe.seconds * factor / workers / 3600 for workers in WORKERS},
    )


def _probe(task: ImageTask, pairs: list[CaptionPair], seconds: float, planned: int) -> tuple[Probe, int]:
    """Return the probe, and the bytes of the previews and thumbnails of ``planned`` pairs."""
    config = task.config
    shown = min(config.sheet.pairs, planned)
    generate = load_stage(config.stage)(config, task.identify().generator)
    # The first pair warms up memory, kernels and a compiled denoiser. A unit of this number has no previews.
    generate(Unit(config.sheet.pairs, tuple(pairs[:1])))
    funnel, sizes, spent = Funnel(), Counter[str](), 0.0
    previews, scores = list[Preview](), list[pa.Table]()
    for index, start in enumerate(range(0, len(pairs), config.unit_pairs)):
        began = time.perf_counter()
        result = generate(Unit(index, tuple(pairs[start : start + config.unit_pairs])))
        spent += time.perf_counter() - began
        funnel.add(summarise(result))
        files = task.encode(result)
        sizes.update({kind: len(data) for kind, data in files.items()})
        if "scores" in files:
            scores.append(parquet_tables.from_bytes(files["scores"]))
        if "samples" in files:
            sizes["shards"] += sample_ends(files["samples"])[-1]
        if result.previews or result.thumbnails:
            spent -= result.seconds.get("preview", 0.0)
        if result.previews:
            previews += result.previews
            sizes["maps"] += len(files["previews"]) - len(to_bytes(list(map(_without_maps, result.previews))))
        if spent >= seconds:
            break
    if funnel.failed == funnel.pairs:
        raise PlanError(f"each of the {funnel.pairs} pairs of the probe failed: {result.failures[0].reason}")
    # Parts have a file of scores for each unit, and a dataset has them in one, which is smaller.
    packed = sizes["shards"] + len(parquet_tables.to_bytes(pa.concat_tables(scores)))
    parts = sum(sizes[kind] for kind in ("samples", "rejected", "scores"))
    counts = funnel.pairs, funnel.failed, spent, funnel.candidates, funnel.rows, funnel.samples
    # Only the first of these pairs have attention maps.
    plain = (sizes["previews"] - sizes["maps"]) / max(1, len(previews))
    maps = sizes["maps"] / max(1, sum(bool(preview.maps) for preview in previews))
    preview_bytes = round(shown * plain + min(shown, config.sheet.attention) * maps)
    if sizes["thumbnails"]:
        probed, all_pairs = (sum(map(config.sheet.shows_rejected, range(n))) for n in (funnel.pairs, planned))
        preview_bytes += round(sizes["thumbnails"] / probed * all_pairs)
    return Probe(*counts, parts, packed), preview_bytes


def _without_maps(preview: Preview) -> Preview:
    return replace(preview, maps=())
