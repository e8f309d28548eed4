"""Stage of a probe on a cluster: its units are made by one of the workers that a run would have there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from conf.messages import error_line
from conf.schema import Config
from pipeline.errors import RunError
from pipeline.execution.ray_cluster import WorkerError, capacity, cluster, gpu_share, machines
from pipeline.execution.unit_worker import Outcome
from pipeline.execution.worker_pool import start_actor
from pipeline.tasks.estimate import MakeStage
from pipeline.tasks.image_task import ImageTask
from stages.records import Place, Unit, UnitResult


class ClusterStage:
    """Makes units on a worker of the cluster, and writes none of them."""

    def __init__(self, config: Config, model_fingerprint: str) -> None:
        """Set up the worker. Raises WorkerError if its models do not load."""
        found = machines()
        share = gpu_share(config.cluster, found)
        if not capacity(found, share):
            raise WorkerError(
                f"cluster.address={config.cluster.address} has no room for a worker with {share:g} GPUs: "
                "pairforge plan probes on machines that are there"
            )
        self._actor = start_actor(config, model_fingerprint, ImageTask(config).encode, share)
        started = self._wait(self._actor.start.remote())
        if started.place is None:
            raise WorkerError(started.text)
        self.place: Place = started.place

    def __call__(self, unit: Unit) -> UnitResult:
        result: UnitResult | Outcome = self._wait(self._actor.probe.remote(unit))
        if isinstance(result, Outcome):
            raise WorkerError(f"{self.place}: {result.text}")
        return result

    def _wait(self, call: ray.ObjectRef[Outcome]) -> Outcome:
        # A future, because Ray's own waiting turns the alarm of a probe's limit into Ctrl-C.
        return call.future().result()


@contextmanager
def stages_on_cluster(config: Config) -> Iterator[MakeStage]:
    """Yield a function that sets up a stage on the cluster of ``config``. Raises WorkerError and RunError."""
    with cluster(config):
        try:
            yield ClusterStage
        except RayError as error:
            raise RunError(f"the probe's worker is lost: {error_line(error)}") from error
