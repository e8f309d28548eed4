"""Ray on this machine or on a cluster: start and end, and the room for workers."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

# Ray reads it when it is imported: it sends no usage statistics.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

from conf.messages import error_line
from conf.pairs import Settings
from conf.running import Cluster, ClusterKind
from pipeline.config.validate import count_cores
from pipeline.errors import RunError
from pipeline.execution import metrics

SECONDS_BETWEEN_LOOKS = 1.0

Explain = Callable[[str], AbstractContextManager[None]]
"""Surrounds a wait and is given a line about it."""


class WorkerError(ValueError):
    """A worker could not be set up: one line that names what it missed."""


@contextmanager
def cluster(config: Settings, explain: Explain = lambda text: nullcontext()) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster named; leave it at the end.

    Raises WorkerError for a cluster that cannot be joined, RunError if Ray does not start here.
    """
    level = logging.getLevelNamesMapping()[config.log.value.upper()]
    if config.cluster.kind is ClusterKind.ray:
        address = config.cluster.address
        try:
            with explain(f"cluster.address={address} does not answer yet: Ray tries on; Ctrl-C ends it"):
                ray.init(address=address, log_to_driver=False, logging_level=level)
        # A malformed address, no answer, or a cluster with another version of Ray or Python.
        except (ValueError, ConnectionError, RuntimeError) as error:
            silent = isinstance(error, ConnectionError)
            raise WorkerError(
                f"cluster.address={config.cluster.address} {'does not answer' if silent else 'cannot be joined'}: "
                f"{error_line(error)}: give HOST:PORT as ray start prints it, or auto"
            ) from error
    else:
        if "RAY_AUTH_MODE" not in os.environ:
            # Else Ray writes a token file into the home folder, which a later ray start of the user would demand.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        try:
            ray.init(
                address="local",
                num_cpus=config.cluster.workers or count_cores(),
                # None: Ray counts the GPUs, faster than torch. On a Mac it counts one that torch does not use.
                num_gpus=0 if sys.platform == "darwin" else None,
                include_dashboard=False,
                _metrics_export_port=metrics.check_port(config.cluster.metrics_port),
                log_to_driver=False,
                logging_level=level,
            )
        # Ray raises a plain Exception if a node was too slow to start.
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            raise RunError(
                "Ray did not start on this machine within 30 s; other programs may keep it busy; "
                "the same command tries again"
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


def machines() -> list[dict[str, float]]:
    """Return the resources of each machine of the cluster that is alive, used or not."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]] if ray.is_initialized() else []


def gpu_share(settings: Cluster, found: list[dict[str, float]]) -> float:
    """Return the GPUs of a worker: what the settings say, else 1 if a machine has a GPU."""
    if settings.gpus_per_worker is not None:
        return settings.gpus_per_worker
    return float(any(machine.get("GPU", 0) >= 1 for machine in found))


def capacity(found: list[dict[str, float]], share: float) -> int:
    """Return the number of workers, each with one CPU and ``share`` GPUs, that the machines can hold together."""
    return sum(_fitting(machine, share) for machine in found)


def await_workers(settings: Cluster, explain: Explain) -> None:
    """Wait until a cluster can hold ``cluster.workers``, for at most ``cluster.wait_seconds``.

    A cluster that has just been started shows its machines one by one. With ``gpus_per_worker`` there is nothing to
    wait for: workers of which no machine has room yet are started when one has.
    """
    if settings.kind is ClusterKind.local or settings.workers is None or settings.gpus_per_worker is not None:
        return
    deadline = time.monotonic() + settings.wait_seconds
    with explain(
        f"waiting for machines that hold cluster.workers={settings.workers}, for at most "
        f"cluster.wait_seconds={settings.wait_seconds:g}"
    ):
        while time.monotonic() < deadline:
            found = machines()
            if capacity(found, gpu_share(settings, found)) >= settings.workers:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)


def room(config: Settings) -> Callable[[], bool]:
    """Return a function that returns True if a machine of the cluster can now hold a worker, free or not."""
    share = 0.0

    def has_room() -> bool:
        nonlocal share
        found = machines()
        # The largest share seen: workers that were planned with a GPU still need one after all GPUs are lost.
        share = max(share, gpu_share(config.cluster, found))
        return capacity(found, share) > 0

    return has_room


def _fitting(machine: dict[str, float], share: float) -> int:
    cpus = int(machine.get("CPU", 0))
    if not share:
        return cpus
    gpus = machine.get("GPU", 0)
    # A worker has a share of one GPU, or whole GPUs: 0.3 leaves a tenth of each GPU unused.
    return min(cpus, int(gpus) * int(1 / share) if share <= 1 else int(gpus // share))
