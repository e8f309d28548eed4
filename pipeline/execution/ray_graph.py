"""The Ray graph: one dataset row a unit, a fixed pool of actors that generate, and tasks that write and commit."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

# Read by Ray when it is imported: no usage statistics leave the machine, and what Ray Data still has to clear away
# after ray.shutdown() starts no new cluster for it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from conf.either import Settings
from conf.messages import error_line
from conf.running import Cluster, ClusterKind
from pipeline.errors import RunError
from pipeline.execution import metrics
from pipeline.execution.ray_tasks import GenerateRow, write_row
from stages.records import UnitResult

# A unit whose process dies is tried so often, and so is its write; then its row is dropped and the rest goes on.
TRIES = 3
# Workers that die one after the other before they are ready; Ray Data's own default is to give up at the first.
DEATHS_AT_START = 20
WRITERS = 1
# Processes that Ray starts here inherit these; those of a cluster that runs already have to be given them.
CARRIED = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE", "TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY")


class WorkerError(ValueError):
    """A worker could not be set up: one line that names what it missed."""


@contextmanager
def cluster(config: Settings) -> Iterator[None]:
    """Start Ray on this machine, or join the cluster named; leave it at the end."""
    level = logging.getLevelNamesMapping()[config.log.value.upper()]
    if config.cluster.kind is ClusterKind.ray:
        try:
            ray.init(
                address=config.cluster.address,
                log_to_driver=False,
                logging_level=level,
                runtime_env={"env_vars": {name: os.environ[name] for name in CARRIED if name in os.environ}},
            )
        # An address that is none, nobody there, and another version of Ray or of Python than the cluster's.
        except (ValueError, ConnectionError, RuntimeError) as error:
            silent = isinstance(error, ConnectionError)
            raise WorkerError(
                f"cluster.address={config.cluster.address} {'does not answer' if silent else 'cannot be joined'}: "
                f"{error_line(error)}: give HOST:PORT as ray start has told it, or auto"
            ) from error
    else:
        try:
            ray.init(
                address="local",
                num_cpus=(config.cluster.workers or _cores()) + WRITERS,
                # None: as many as Ray finds, without torch's seconds. It counts Apple's, which torch does not.
                num_gpus=0 if sys.platform == "darwin" else None,
                include_dashboard=False,
                _metrics_export_port=metrics.check_port(config.cluster.metrics_port),
                log_to_driver=False,
                logging_level=level,
            )
        # Ray tells a node that was too slow to start by nothing more particular.
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
            raise RunError(
                "Ray did not start on this machine within its 30 s, as where others keep it busy; "
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
    """Generate, write and commit ``units``; yields each one's summary once it is committed.

    ``encode`` makes a unit's files by kind. The order of ``units`` and the number of workers are free: a unit's
    batches are made of its own pairs alone, and packing follows the plan. A unit without a summary failed ``TRIES``
    times. Raises WorkerError if the models cannot be loaded where they are needed, RunError if Ray gives up.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = len(units)
    context.max_consecutive_actor_init_deaths = DEATHS_AT_START
    context.execution_no_progress_timeout_s = _longest(config)
    resources = ray.cluster_resources()
    gpus, cpus = int(resources.get("GPU", 0)), int(resources["CPU"]) - WRITERS
    workers = config.cluster.workers or _fitting(config.cluster, gpus, cpus)
    # One unit a block: a block is what Ray drops when a process dies for good.
    rows = ray.data.from_items([{"unit": unit} for unit in units], override_num_blocks=len(units))
    generated = rows.map(
        GenerateRow,  # type: ignore[arg-type]
        fn_constructor_args=(config, model_fingerprint, encode),
        # Two tasks each: a worker begins a unit when it ends one, which Ray Data is a tenth of a second late to see.
        compute=ActorPoolStrategy(
            size=min(workers, len(units)),
            max_tasks_in_flight_per_actor=2,
            max_concurrent_calls_per_actor=2,
            enable_true_multi_threading=True,
        ),
        num_cpus=1,
        num_gpus=_gpu_share(config.cluster, gpus),
        max_task_retries=TRIES - 1,
    )
    written = generated.map(
        write_row,  # type: ignore[arg-type]
        fn_args=(config.out,),
        num_cpus=WRITERS,
        max_retries=TRIES - 1,
    )
    # Closed whatever happens: an executor that outlives its cluster keeps the process from ending.
    # Nothing is fetched ahead: a summary would wait for the next one.
    blocks: Any = written.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    with (
        closing(metrics.DriverMetrics(config.out, len(units))) as waiting,
        closing(iter(blocks)) as blocks_written,
    ):
        try:
            for row in (row for block in blocks_written for row in block.to_pylist()):
                if row["error"]:
                    # With a record, the unit was made and could not be written.
                    raise (RunError if row["record"] else WorkerError)(row["error"])
                waiting.count_unit()
                yield json.loads(row["record"])
        except (RayError, ExecutionTimeoutError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise RunError(
                f"Ray gave up: {reason}; what is committed stays, the same command goes on"
            ) from error


def room(config: Settings) -> Callable[[], bool]:
    """A function that says whether some machine of the cluster, as it is then, can hold a worker, free or not."""
    share = 0.0

    def has_room() -> bool:
        nonlocal share
        if not ray.is_initialized():
            return False
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        # The GPUs may be what was lost: a worker that was planned with one does without it no more.
        share = max(share, _gpu_share(config.cluster, int(sum(m.get("GPU", 0) for m in machines))))
        return any(m.get("CPU", 0) >= 1 and m.get("GPU", 0) >= share for m in machines)

    return has_room


def _longest(config: Settings) -> float:
    """In seconds: no unit takes longer, were each of its pairs to hang, twice, alone and in every half."""
    return 4 * config.unit_pairs * config.cluster.unit_seconds + config.cluster.wait_seconds


def _fitting(cluster: Cluster, gpus: int, cpus: int) -> int:
    share = _gpu_share(cluster, gpus)
    return max(1, min(cpus, int(gpus / share)) if share else cpus)


def _gpu_share(cluster: Cluster, gpus: int) -> float:
    if cluster.gpus_per_worker is not None:
        return cluster.gpus_per_worker if gpus else 0.0
    return 1.0 if gpus else 0.0


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
