"""The schema of where a run goes on and who is told of it: none of this changes results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING


class ClusterKind(Enum):
    local = "local"
    ray = "ray"


class TrackerKind(Enum):
    none = "none"
    tensorboard = "tensorboard"
    wandb = "wandb"
    mlflow = "mlflow"


class LogLevel(Enum):
    error = "error"
    warning = "warning"
    info = "info"
    debug = "debug"


@dataclass
class Cluster:
    """Where it runs. None of this changes results: ``null`` is "find out from the machine".

    ``batch_rows`` of the denoiser in a batch; null takes what the pairs of a unit fill and the memory holds.
    A unit that takes longer than ``unit_seconds`` is taken to hang: its process is ended, and the pair at fault found.
    The run itself ends ``hours`` after the command, if given, or when no machine could hold a worker for
    ``wait_seconds``; planning and packing that have begun are let through.
    ``metrics_port`` is where a Ray started here serves Prometheus; null leaves the choice to Ray.
    """

    kind: ClusterKind = MISSING
    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None
    threads: int = 1
    batch_rows: int | None = 32
    unit_seconds: float = 3600.0
    wait_seconds: float = 600.0
    hours: float | None = None
    metrics_port: int | None = None


@dataclass
class Tracker:
    """Who is told of the funnel while it fills, beside the terminal. None of this changes results.

    ``project`` is the name of W&B's project or MLflow's experiment. ``folder`` is where the files go, or where
    MLflow's server is; null is OUT/run/tensorboard, and for the other two the client's own choice.
    """

    kind: TrackerKind = TrackerKind.none
    project: str = "pairforge"
    folder: str | None = None


@dataclass
class Sheet:
    """The contact sheet shows the first ``pairs`` caption pairs; 0 for none.

    Of the first ``attention`` of them the report shows where the model looked for each word: a source and an edit more
    to denoise, for each. A compiled model is not asked.
    """

    pairs: int = 12
    attention: int = 3
