"""Validates settings of every kind of run: minimum values, names, cluster and tracker."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from importlib.util import find_spec

from conf.messages import suggest_name
from conf.running import Cluster, ClusterKind, Tracker, TrackerKind


def check_minimums(settings: Iterable[tuple[str, float | None, int]]) -> Iterator[str]:
    """Yield a line for each setting (key, value, minimum) below its minimum. A value of None has none."""
    for key, value, least in settings:
        if value is not None and value < least:
            yield f"{key}={value} must be {least} or more"


def check_name(key: str, name: str, known: Collection[str]) -> Iterator[str]:
    """Yield a line if ``name`` is neither one of ``known`` nor the name of a module that Python finds.

    Nothing is imported: the libraries read the environment on import, and it is not prepared yet.
    """
    if name in known or _has_module(name.partition(".")[0]):
        return
    hint = suggest_name(name, known) or "; is its folder on PYTHONPATH?"
    yield f"{key}={name} is none of {', '.join(known)}, and Python finds no module of that name{hint}"


def check_execution(out: str, cluster: Cluster, tracker: Tracker) -> Iterator[str]:
    """Yield a line for each invalid setting of the cluster or the tracker."""
    yield from check_minimums(
        (
            ("cluster.workers", cluster.workers, 1),
            ("cluster.batch_rows", cluster.batch_rows, 4),
            ("cluster.threads", cluster.threads, 1),
            ("cluster.unit_seconds", cluster.unit_seconds, 1),
            ("cluster.wait_seconds", cluster.wait_seconds, 1),
            ("cluster.metrics_port", cluster.metrics_port, 1),
        )
    )
    if cluster.hours is not None and cluster.hours <= 0:
        yield f"cluster.hours={cluster.hours:g} must be over 0, or null for no limit"
    if cluster.kind is ClusterKind.ray and not cluster.address:
        yield "cluster=ray needs cluster.address=HOST:PORT, or cluster.address=auto for the cluster of this machine"
    if cluster.kind is ClusterKind.ray and cluster.metrics_port is not None:
        yield (
            "cluster.metrics_port is for a Ray that pairforge starts; a running Ray has its own port: "
            "ray start --metrics-export-port=PORT"
        )
    if tracker.kind is TrackerKind.tensorboard and "://" in out and not tracker.folder:
        yield f"tracker=tensorboard does not write to {out}: give tracker.folder=FOLDER"


def _has_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
