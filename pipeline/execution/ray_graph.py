"""The Ray graph: one record a unit, and a fixed pool of actors that generate, write and commit."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any

# Ray reads these when it is imported: it sends no usage statistics, and the cleanup of Ray Data after ray.shutdown()
# starts no new cluster.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from conf.messages import error_line
from conf.pairs import Settings
from conf.running import Cluster, ClusterKind
from pipeline.errors import RunError, unwritable
from pipeline.execution import metrics
from stages.errors import StageError
from stages.records import UnitResult
from stages.storage import heartbeat
from stages.storage.plan_files import read_unit
from stages.storage.store import Store
from stages.worker.supervisor import Supervised
from stages.write import summarise, write_unit

# Attempts for a unit whose actor dies. Then the unit is dropped and the others are made.
TRIES = 3
# Actors that may die one after the other before they are ready. Ray Data's default is to give up at the first.
DEATHS_AT_START = 20
# The actors of a Ray that is started here inherit these variables; a running cluster has to be given them.
CARRIED = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY")


class WorkerError(ValueError):
    """A worker could not be set up: one line that names what it missed."""


class MakeUnit:
    """Actor that generates, writes and commits a unit per call.

    Two calls run at once: the files of one unit are encoded and written while the models, in a process of their own,
    make the next unit.
    """

    def __init__(
        self, config: Settings, model_fingerprint: str, encode: Callable[[UnitResult], dict[str, bytes]]
    ) -> None:
        self.store = Store(config.out)
        self.encode = encode
        self.error = ""
        # An exception here would kill the actor, and Ray would not show its text.
        try:
            self.generate = Supervised(config, model_fingerprint)
        except StageError as error:
            self.error = str(error)
        self.metrics = metrics.WorkerMetrics(config.out)
        self.since = time.perf_counter()
        self.model = threading.Lock()

    def __call__(self, record: dict[str, Any]) -> dict[str, str]:
        """Make the unit with the index ``record["unit"]``; return its summary as JSON, and an error or "".

        Without a summary, no other unit can be made either.
        """
        if self.error:
            return {"summary": "", "error": self.error}
        unit = read_unit(self.store, int(record["unit"]))
        with self.model:
            heartbeat.note_unit(self.store, unit.index)
            try:
                with self.metrics.unit():
                    result = self.generate(unit)
            except StageError as error:
                self.error = str(error)
                return {"summary": "", "error": self.error}
            summary = summarise(result)
            # The rest of the worker's time, waiting included, lies between activities.
            now = time.perf_counter()
            summary["seconds"]["between"] = round(now - self.since - sum(result.seconds.values()), 3)
            self.since = now
            self.metrics.count_unit(result, summary["seconds"])
        made = {"summary": json.dumps(summary), "error": ""}
        files = self.encode(result)
        try:
            write_unit(self.store, files, summary)
            heartbeat.remove_note(self.store, unit.index)
        except OSError as error:
            # Ray would retry after an exception; this error reaches the user once.
            return {**made, "error": unwritable(error, f"the output {self.store.url}")}
        return made


@contextmanager
def cluster(
    config: Settings,
    explain_waiting: Callable[[str], AbstractContextManager[None]] = lambda text: nullcontext(),
) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster named; leave it at the end.

    ``explain_waiting`` surrounds the wait for a cluster and is given a line about it.
    """
    level = logging.getLevelNamesMapping()[config.log.value.upper()]
    if config.cluster.kind is ClusterKind.ray:
        address = config.cluster.address
        try:
            with explain_waiting(
                f"cluster.address={address} does not answer yet: Ray tries on; Ctrl-C ends it"
            ):
                ray.init(
                    address=address,
                    log_to_driver=False,
                    logging_level=level,
                    runtime_env={
                        "env_vars": {name: os.environ[name] for name in CARRIED if name in os.environ}
                    },
                )
        # A malformed address, no answer, or a cluster with another version of Ray or Python.
        except (ValueError, ConnectionError, RuntimeError) as error:
            silent = isinstance(error, ConnectionError)
            raise WorkerError(
                f"cluster.address={config.cluster.address} {'does not answer' if silent else 'cannot be joined'}: "
                f"{error_line(error)}: give HOST:PORT as ray start prints it, or auto"
            ) from error
    else:
        try:
            ray.init(
                address="local",
                num_cpus=config.cluster.workers or _cores(),
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


def run(
    config: Settings,
    model_fingerprint: str,
    units: Sequence[int],
    encode: Callable[[UnitResult], dict[str, bytes]],
) -> Generator[dict[str, Any], None, None]:
    """Generate, write and commit ``units``; yield the summary of each after its commit.

    ``encode`` encodes a unit's files by kind. The order of ``units`` and the number of workers do not change results:
    a unit's batches hold its own pairs only, and packing follows the plan. A unit without a summary failed ``TRIES``
    times. Raises WorkerError if a worker cannot load the models, RunError if Ray gives up or a unit cannot be written.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = len(units)
    context.max_consecutive_actor_init_deaths = DEATHS_AT_START
    # No unit takes longer, even if each of its pairs hangs twice, alone and in every half.
    longest = 4 * config.unit_pairs * config.cluster.unit_seconds
    context.execution_no_progress_timeout_s = longest + config.cluster.wait_seconds
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get("GPU", 0)), int(resources["CPU"])
    share = _gpu_share(config.cluster, gpus)
    workers = config.cluster.workers or max(1, min(cpus, int(gpus / share)) if share else cpus)
    # One unit a block, because Ray drops a block when its process dies for good.
    records = ray.data.from_items([{"unit": unit} for unit in units], override_num_blocks=len(units))
    made = records.map(
        MakeUnit,  # type: ignore[arg-type]
        fn_constructor_args=(config, model_fingerprint, encode),
        # Two units for each actor: it begins the second as it ends the first, and Ray Data reacts a tenth of a second
        # later.
        compute=ActorPoolStrategy(
            size=min(workers, len(units)),
            max_tasks_in_flight_per_actor=2,
            max_concurrent_calls_per_actor=2,
            enable_true_multi_threading=True,
        ),
        num_cpus=1,
        num_gpus=share,
        max_task_retries=TRIES - 1,
    )
    # No prefetch: a summary would wait for the next one.
    batches: Any = made.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    with (
        closing(metrics.DriverMetrics(config.out, len(units))) as counters,
        # An executor that outlives its cluster would keep the process from ending.
        closing(iter(batches)) as blocks,
    ):
        try:
            for record in (record for block in blocks for record in block.to_pylist()):
                if record["error"]:
                    # With a summary, the unit was made and could not be written.
                    raise (RunError if record["summary"] else WorkerError)(record["error"])
                counters.count_unit()
                yield json.loads(record["summary"])
        except (RayError, ExecutionTimeoutError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise RunError(
                f"Ray gave up: {reason}; what is committed stays, the same command goes on"
            ) from error


def room(config: Settings) -> Callable[[], bool]:
    """Return a function that returns True if a machine of the cluster can now hold a worker, free or not."""
    share = 0.0

    def has_room() -> bool:
        nonlocal share
        if not ray.is_initialized():
            return False
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        # The largest share seen: workers that were planned with a GPU still need one after all GPUs are lost.
        share = max(share, _gpu_share(config.cluster, int(sum(m.get("GPU", 0) for m in machines))))
        return any(m.get("CPU", 0) >= 1 and m.get("GPU", 0) >= share for m in machines)

    return has_room


def _gpu_share(cluster: Cluster, gpus: int) -> float:
    if cluster.gpus_per_worker is not None:
        return cluster.gpus_per_worker if gpus else 0.0
    return 1.0 if gpus else 0.0


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
