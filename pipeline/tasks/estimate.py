"""Estimates a run of images from its whole input and a short probe on this machine."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from conf.schema import Config
from pipeline.dataset.funnel import Funnel
from pipeline.planning.plan import PlanError
from pipeline.tasks.image_task import ImageTask
from stages.records import CaptionPair, Quarantined, Unit
from stages.storage.store import Store
from stages.worker.process import load_stage
from stages.write import summarise

WORKERS = (1, 8, 64)


@dataclass(frozen=True)
class Probe:
    """The counts of some pairs, and the seconds that one worker with loaded and warm models took for them."""

    pairs: int
    failed: int
    seconds: float
    candidates: int
    rows: int
    samples: int
    bytes: int


@dataclass(frozen=True)
class Estimate:
    """The counts of the whole run. ``hours`` by the number of workers; ``reasons`` counts the quarantined lines."""

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


def estimate(config: Config, probe_seconds: float) -> Estimate:
    """Probe for about ``probe_seconds``, at least one unit of pairs, and multiply.

    Raises PlanError for an input without a good pair, and as ``pipeline.tasks.prior_from.freeze_priors`` does.
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
    probe = _probe(task, probe_pairs, probe_seconds)
    factor = pairs / probe.pairs
    return Estimate(
        pairs=pairs,
        quarantined=reasons.total(),
        reasons=dict(reasons.most_common()),
        units=-(-pairs // unit_pairs),
        probe=probe,
        **{name: round(getattr(probe, name) * factor) for name in ("candidates", "rows", "samples", "bytes")},
        hours={workers: probe.seconds * factor / workers / 3600 for workers in WORKERS},
    )


def _probe(task: ImageTask, pairs: list[CaptionPair], seconds: float) -> Probe:
    config = task.config
    generate = load_stage(config.stage)(config, task.identify().generator)
    # The first pair warms up memory, kernels and a compiled denoiser.
    generate(Unit(0, tuple(pairs[:1])))
    funnel, size, spent = Funnel(), 0, 0.0
    for index, start in enumerate(range(0, len(pairs), config.unit_pairs)):
        began = time.perf_counter()
        result = generate(Unit(index, tuple(pairs[start : start + config.unit_pairs])))
        spent += time.perf_counter() - began
        funnel.add(summarise(result))
        size += sum(map(len, task.encode(result).values()))
        if spent >= seconds:
            break
    return Probe(funnel.pairs, funnel.failed, spent, funnel.candidates, funnel.rows, funnel.samples, size)
