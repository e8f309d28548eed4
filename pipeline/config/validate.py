"""Validates the settings of a run: bounds, names, and settings that exclude each other."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec

from conf.bounds import CHANCE, out_of_bounds
from conf.messages import suggest_name
from conf.pairs import PairsConfig, Settings
from conf.running import Cluster, ClusterKind, TrackerKind
from conf.schema import CaptionsKind, Config, EditMethod, Keep, SamplerName
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep

CORES_TIMES = 8
"""Workers or threads for each core, at most. Threads that wait for a disk or a GPU leave a core to others."""
FILE_KINDS = frozenset(CaptionsKind) - {CaptionsKind.dataset}


def find_problems(config: Settings) -> Iterator[str]:
    """Yield a line for each invalid setting. The schema has the bounds of single settings."""
    cluster, tracker = config.cluster, config.tracker
    yield from out_of_bounds(config)
    if cluster.kind is ClusterKind.local:
        yield from _core_problems(cluster)
    if cluster.kind is ClusterKind.ray and not cluster.address:
        yield "cluster=ray needs cluster.address=HOST:PORT, or cluster.address=auto for the cluster of this machine"
    if cluster.kind is ClusterKind.ray and cluster.metrics_port is not None:
        yield (
            "cluster.metrics_port is for a Ray that pairforge starts; a running Ray has its own port: "
            "ray start --metrics-export-port=PORT"
        )
    if tracker.kind is TrackerKind.tensorboard and "://" in config.out and not tracker.folder:
        yield f"tracker=tensorboard does not write to {config.out}: give tracker.folder=FOLDER"
    yield from check_name("stage", config.stage, [type(config).stage])
    yield from check_name("captions.kind", config.captions.kind, [*CaptionsKind])
    if config.captions.kind in FILE_KINDS and "://" in config.captions.path:
        yield f"captions.path={config.captions.path}: captions are read from files on this machine: copy it to one"
    if not isinstance(config, PairsConfig):
        yield from _image_problems(config)
    elif config.captions.kind == CaptionsKind.from_captions:
        yield "captions=from_captions is for pairforge without pairs: pairforge captions=from_captions captions.path=…"


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _core_problems(cluster: Cluster) -> Iterator[str]:
    """Yield a line for far more workers or threads than cores: such a machine would only switch between them."""
    cores = count_cores()
    most = CORES_TIMES * cores
    for key, count in (("workers", cluster.workers), ("threads", cluster.threads)):
        if count is not None and count > most:
            yield f"cluster.{key}={count} is far more than the {cores} cores of this machine: give at most {most}"


def check_name(key: str, name: str, known: Collection[str]) -> Iterator[str]:
    """Yield a line if ``name`` is neither one of ``known`` nor the name of a module that Python finds.

    Nothing is imported: the libraries read the environment on import, and it is not prepared yet.
    """
    try:
        has_module = find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        has_module = False
    if name not in known and not has_module:
        hint = suggest_name(name, known) or "; is its folder on PYTHONPATH?"
        yield f"{key}={name} is none of {', '.join(known)}, and Python finds no module of that name{hint}"


def _image_problems(config: Config) -> Iterator[str]:
    sweep, method = config.sweep, config.edit.method
    yield from check_name("sampler.name", config.sampler.name, [*SamplerName])
    if config.captions.kind == CaptionsKind.from_captions:
        yield (
            "captions=from_captions works for a run alone: write the caption pairs with pairforge pairs, "
            "and give their file as captions.path=…"
        )
    if config.keep is Keep["all-images"] and config.model.scoring_decoder:
        yield (
            "keep=all-images would store the images of model.scoring_decoder, which are not meant as data: "
            "give model.scoring_decoder=null or keep=kept"
        )
    if isinstance(sweep, GridSweep):
        if not sweep.taus or len(set(sweep.taus)) < len(sweep.taus):
            yield f"sweep.taus={sweep.taus} must be one or more values, each once"
        if not _are_chances(sweep.taus):
            yield f"sweep.taus={sweep.taus} must lie from 0 to 1"
    if isinstance(sweep, RandomSweep):
        if sweep.tau_min > sweep.tau_max:
            yield f"sweep.tau_min={sweep.tau_min} and sweep.tau_max={sweep.tau_max} must rise, from 0 to 1"
        if sweep.guidance_min > sweep.guidance_max:
            yield "sweep.guidance_min must not be over sweep.guidance_max"
    if isinstance(sweep, AdaptiveSweep):
        yield from _adaptive_problems(sweep)
        if method is not EditMethod.p2p:
            yield f"edit.method={method.value} has no tau to adapt: give sweep=grid"


def _adaptive_problems(sweep: AdaptiveSweep) -> Iterator[str]:
    count = len(sweep.taus)
    if len(sweep.prior) != count or not _are_chances(sweep.prior):
        yield f"sweep.prior={sweep.prior} must be a chance from 0 to 1 for each of the {count} sweep.taus"
    for entry in sweep.priors:
        if len(entry.prior) != count or not _are_chances(entry.prior):
            yield f"sweep.priors: {entry.kind}'s {entry.prior} must be a chance from 0 to 1 for each of {sweep.taus}"


def _are_chances(numbers: Sequence[float]) -> bool:
    return all(map(CHANCE.holds, numbers))
