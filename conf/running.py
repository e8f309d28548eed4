"""Schema of the cluster, the tracker and the contact sheet: all but ``cluster.batch_rows`` never change results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from conf.bounds import NOT_NEGATIVE, Bound, at_least, between, bounded


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


# Ray takes a share of one GPU, or whole GPUs.
GPUS = Bound(
    lambda gpus: 0 <= gpus <= 1 or gpus == int(gpus) > 1,
    "be a share of a GPU from 0 to 1, or a whole number of them",
)


@dataclass
class Cluster:
    """The machines of a run. All but ``batch_rows`` never change results; null means "detect".

    - ``address``: the address of a running Ray cluster.
    - ``workers``: the number of workers; ``gpus_per_worker`` and ``threads`` are those of each worker.
    - ``batch_rows``: denoiser rows in a batch; null takes what the pairs of a unit fill and the memory holds. Batches
      of another shape change the last bits of a result, so a run keeps the value that it was planned with.
    - ``unit_seconds``: a unit that takes longer, and longer than three times the slowest unit so far, counts as
      hanging; its process is ended, and the failing pair is isolated.
    - ``wait_seconds``: the run ends if no machine can hold a worker for this time. On a cluster, the time in which
      the machines for ``workers`` may appear before the run begins with what there is.
    - ``hours``: the run ends this many hours after the start of the command; planning and packing are finished if
      they have started.
    - ``price_per_gpu_hour``: what an hour of a GPU costs, in any currency: pairforge plan then estimates the cost.
    - ``metrics_port``: the Prometheus port of a Ray that is started here; null leaves the choice to Ray.
    """

    kind: ClusterKind = MISSING
    address: str | None = None
    workers: int | None = bounded(at_least(1), None)
    gpus_per_worker: float | None = bounded(GPUS, None)
    threads: int = bounded(at_least(1), 1)
    batch_rows: int | None = bounded(at_least(4), 32)
    unit_seconds: float = bounded(at_least(1), 3600.0)
    wait_seconds: float = bounded(at_least(1), 600.0)
    hours: float | None = bounded(Bound(lambda hours: hours > 0, "be over 0, or null for no limit"), None)
    price_per_gpu_hour: float | None = bounded(Bound(lambda price: price > 0, "be over 0, or null"), None)
    metrics_port: int | None = bounded(between(1, 65535), None)


@dataclass
class Tracker:
    """A tracker that shows the funnel during the run. None of these settings changes results.

    - ``project``: the project of W&B, or the experiment of MLflow.
    - ``folder``: the folder of the files, or the server of MLflow; null means OUT/run/tensorboard for TensorBoard,
      and the default of the client for the others.
    """

    kind: TrackerKind = TrackerKind.none
    project: str = "pairforge"
    folder: str | None = None


@dataclass
class Sheet:
    """The contact sheet, and the pictures of the report.

    - ``pairs``: caption pairs on the contact sheet; 0 for none.
    - ``attention``: how many of them have attention maps in the report. Each costs one more source and edit.
    - ``rejected``: the report shows rejected candidates of the first so many caption pairs, and of half as many more
      each time the number of pairs doubles; 0 for none. Their small pictures take at most 32 kB a pair.
    """

    pairs: int = bounded(NOT_NEGATIVE, 12)
    attention: int = bounded(NOT_NEGATIVE, 3)
    rejected: int = bounded(NOT_NEGATIVE, 64)

    def shows_rejected(self, place: int) -> bool:
        """Whether the report shows rejected candidates of the pair at ``place`` of the plan, from 0.

        The pairs become sparser, so that they are of all the input and few: some 500 of 454,000 by default.
        """
        step = 1 << (place // self.rejected).bit_length() if self.rejected else 0
        return step > 0 and place % step == 0
