"""What cannot be of where a run goes on and who is told of it, for images and for texts."""

from __future__ import annotations

from collections.abc import Iterator

from conf.running import Cluster, ClusterKind, Tracker, TrackerKind
from pipeline.config import bounds


def problems(out: str, cluster: Cluster, tracker: Tracker) -> Iterator[str]:
    """A line for each setting that has no value it could have."""
    yield from bounds.problems(
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
        yield f"cluster.hours={cluster.hours:g} must be over 0, or null for no end"
    if cluster.kind is ClusterKind.ray and not cluster.address:
        yield "cluster=ray needs cluster.address=HOST:PORT, or cluster.address=auto for the one this machine is in"
    if cluster.kind is ClusterKind.ray and cluster.metrics_port is not None:
        yield (
            "cluster.metrics_port is for a Ray that pairforge starts; one that runs already has its own: "
            "ray start --metrics-export-port=PORT"
        )
    if tracker.kind is TrackerKind.tensorboard and "://" in out and not tracker.folder:
        yield f"tracker=tensorboard does not write to {out}: give tracker.folder=FOLDER"
