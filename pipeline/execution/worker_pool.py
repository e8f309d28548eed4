"""The workers of a run: feeds them units, moves units away from faulty machines, and evicts those.

Whose fault an error is decides what happens. A pair's fault stays in its unit's commit. A machine's fault sends the
unit to another worker; a worker with repeated faults is evicted. A fault of the settings ends the run with one line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from conf.messages import error_line
from conf.pairs import Settings
from conf.running import ClusterKind
from pipeline.errors import RunError, unwritable
from pipeline.execution import metrics
from pipeline.execution.ray_cluster import (
    Explain,
    WorkerError,
    await_workers,
    capacity,
    gpu_share,
    machines,
)
from pipeline.execution.unit_worker import Ending, Outcome, UnitWorker
from stages.records import Place, UnitResult
from stages.storage.evictions import Eviction, record_eviction
from stages.storage.store import Store

TRIES = 3
"""Attempts for a unit whose worker dies or whose machine is at fault. Then the others are made without it."""
FAULTS = 3
"""Faults one after the other, of two units at least or while the models are loaded, that evict a worker."""
CALLS = 2
"""Units that a worker has: it begins the second as it ends the first."""
SECONDS_TO_PLACE = 15.0
"""Seconds in which Ray finds machines for workers that were just started."""
DEATHS_AT_START = 20
"""Actors that may die one after the other before one of them is set up."""
LOOK = -1
SECONDS_BETWEEN_LOOKS = 2.0
"""Seconds between two looks for machines that joined the cluster or left it."""
CARRIED = (
    *("HF_TOKEN", "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"),
    *("TRANSFORMERS_OFFLINE", "TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"),
    *(
        "TORCHINDUCTOR_CACHE_DIR",
        "TRITON_CACHE_DIR",
        "TORCHINDUCTOR_COMPILE_THREADS",
        "PYTORCH_CUDA_ALLOC_CONF",
    ),
)
"""Variables of the driver's environment that its workers get, in no file and no log of Ray."""


@dataclass(eq=False)
class _Worker:
    """A worker as the driver knows it. ``faults``: the units of its faults since it last made one; None is its start.

    An evicted worker keeps its actor, and the actor its GPU, so that no other worker is put on that GPU.
    """

    actor: Any
    share: float
    place: Place | None = None
    ready: bool = False
    evicted: bool = False
    retired: bool = False
    calls: int = 0
    faults: list[int | None] = field(default_factory=list)
    reason: str = ""


class _Queue:
    """Units that wait, those that failed elsewhere first. Keeps nothing of a unit that never failed."""

    def __init__(self, units: Sequence[int]) -> None:
        self._fresh: Iterator[int] = iter(units)
        self._again: deque[int] = deque()
        self._tries: Counter[int] = Counter()
        self._avoid: defaultdict[int, set[_Worker]] = defaultdict(set)
        self.left = len(units)

    def take(self, worker: _Worker, others: bool) -> int | None:
        """Return the next unit for ``worker``, None if there is none.

        While there are ``others`` that could make it, a worker does not get a unit back that it failed.
        """
        for unit in self._again:
            if not (others and worker in self._avoid[unit]):
                self._again.remove(unit)
                return unit
        return next(self._fresh, None)

    def put_back(self, unit: int, worker: _Worker) -> None:
        """Queue a unit again, unless it had all its tries."""
        self._tries[unit] += 1
        self._avoid[unit].add(worker)
        if self._tries[unit] < TRIES:
            self._again.append(unit)
        else:
            self.left -= 1


def run(
    config: Settings,
    model_fingerprint: str,
    units: Sequence[int],
    encode: Callable[[UnitResult], dict[str, bytes]],
    explain: Explain = lambda text: nullcontext(),
) -> Generator[dict[str, Any], None, None]:
    """Generate, write and commit ``units`` on the connected cluster; yield the summary of each after its commit.

    ``encode`` encodes a unit's files by kind. The order of ``units`` and the number of workers do not change results:
    a unit's batches hold its own pairs only, and packing follows the plan. A unit without a summary failed ``TRIES``
    times. Raises WorkerError if the settings are at fault, RunError if no machine can work or the output is lost.
    """
    await_workers(config.cluster, explain)
    pool = _Pool(config, model_fingerprint, units, encode)
    try:
        with closing(metrics.DriverMetrics(config.out, len(units))) as counters:
            for summary in pool.summaries():
                counters.count_unit()
                yield summary
    except RayError as error:
        raise RunError(
            f"Ray gave up: {error_line(error)}; what is committed stays, the same command goes on"
        ) from error
    finally:
        pool.close()


def start_actor(
    config: Settings, model_fingerprint: str, encode: Callable[[UnitResult], dict[str, bytes]], share: float
) -> Any:
    """Start a ``UnitWorker`` with ``share`` GPUs, on any machine of the connected cluster."""
    environment = {name: os.environ[name] for name in CARRIED if name in os.environ}
    return (
        ray.remote(UnitWorker)
        .options(num_cpus=1, num_gpus=share, max_concurrency=CALLS, enable_task_events=False)
        .remote(config, model_fingerprint, encode, environment, share > 0)
    )


class _Pool:
    def __init__(
        self,
        config: Settings,
        model_fingerprint: str,
        units: Sequence[int],
        encode: Callable[[UnitResult], dict[str, bytes]],
    ) -> None:
        self._cluster, self._store = config.cluster, Store(config.out)
        self._arguments = config, model_fingerprint, encode
        self._queue = _Queue(units)
        self._workers: list[_Worker] = []
        # The worker and the unit of each call in flight; the unit is None for the start, LOOK for the place.
        self._calls: dict[Any, tuple[_Worker, int | None]] = {}
        self._is_local = config.cluster.kind is ClusterKind.local
        self._share = 0.0
        self._slowest = 0.0
        self._deaths = 0
        self._looked = -SECONDS_BETWEEN_LOOKS
        self._stuck_since: float | None = None

    def summaries(self) -> Iterator[dict[str, Any]]:
        """Yield the summary of each unit after its commit, until no unit is left."""
        while self._queue.left > 0:
            if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
                self._look()
            self._feed()
            self._check_hope()
            if not self._calls:
                time.sleep(SECONDS_BETWEEN_LOOKS / 4)
                continue
            done, _ = ray.wait(list(self._calls), num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
            if done:
                done, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
            for call in done:
                yield from self._take_answer(call)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers.clear()

    def _look(self) -> None:
        """Look at the machines, and start a worker wherever one has room."""
        self._looked = time.monotonic()
        found = machines()
        share = max(self._share, gpu_share(self._cluster, found))
        if share != self._share:
            # GPUs joined a cluster that had none: its other workers end once one of the new workers is ready.
            self._share = share
        held = [worker for worker in self._workers if worker.share == share]
        able = [worker for worker in held if not worker.evicted]
        if self._cluster.workers is None:
            missing = capacity(found, share) - len(held)
        else:
            # On a cluster another machine may take the place of an evicted worker.
            missing = self._cluster.workers - len(held if self._is_local else able)
        for _ in range(min(missing, self._queue.left - len(able))):
            self._add_worker(share)

    def _add_worker(self, share: float) -> None:
        actor = start_actor(*self._arguments, share)
        worker = _Worker(actor, share)
        self._workers.append(worker)
        self._calls[actor.locate.remote()] = worker, LOOK
        self._calls[actor.start.remote()] = worker, None

    def _feed(self) -> None:
        """Give each ready worker a unit, then each a second one."""
        for calls in range(CALLS):
            ready = [worker for worker in self._workers if worker.ready and not worker.retired]
            for worker in ready:
                if worker.calls != calls:
                    continue
                unit = self._queue.take(worker, others=len(ready) > 1)
                if unit is not None:
                    worker.calls += 1
                    self._calls[worker.actor.make.remote(unit, self._slowest)] = worker, unit

    def _take_answer(self, call: Any) -> Iterator[dict[str, Any]]:
        worker, unit = self._calls.pop(call)
        try:
            answer = ray.get(call)
        except RayActorError as error:
            self._bury(worker, unit, error)
            return
        except RayTaskError as error:
            # A bug of the actor's own code: as a fault it ends the run with its text, after some tries.
            answer = Outcome(Ending.fault, error_line(error))
        if unit == LOOK:
            worker.place = worker.place or answer
        elif unit is None:
            self._end_start(worker, answer)
        else:
            worker.calls -= 1
            yield from self._end_unit(worker, unit, answer)
            self._retire(worker)

    def _end_start(self, worker: _Worker, outcome: Outcome) -> None:
        if outcome.ending is Ending.done:
            worker.place, worker.ready, self._deaths = outcome.place, True, 0
            worker.faults.clear()
            for other in self._workers:
                other.retired = other.retired or other.share != worker.share
                self._retire(other)
        elif outcome.ending is Ending.not_set_up:
            worker.reason, worker.faults = outcome.text, [None]
            self._evict(worker)
        else:
            self._count_fault(worker, None, outcome.text)
            if not worker.evicted:
                self._calls[worker.actor.start.remote()] = worker, None

    def _end_unit(self, worker: _Worker, unit: int, outcome: Outcome) -> Iterator[dict[str, Any]]:
        match outcome.ending:
            case Ending.done:
                summary = json.loads(outcome.text)
                spent = sum(seconds for name, seconds in summary["seconds"].items() if name != "between")
                self._slowest = max(self._slowest, spent)
                self._queue.left -= 1
                worker.faults.clear()
                yield summary
            case Ending.refused:
                raise WorkerError(outcome.text)
            case Ending.unwritable:
                self._check_output(outcome.text)
                self._queue.put_back(unit, worker)
                self._count_fault(worker, unit, outcome.text)
            case _:
                self._queue.put_back(unit, worker)
                self._count_fault(worker, unit, outcome.text)

    def _check_output(self, text: str) -> None:
        """Raise RunError if the output cannot be written from here either: then no machine is at fault."""
        probe = "run/.writable"
        try:
            self._store.write(probe, b"")
            self._store.remove(probe)
        except OSError as error:
            raise RunError(unwritable(error, f"the output {self._store.url}")) from error
        if self._is_local:
            raise RunError(text)

    def _count_fault(self, worker: _Worker, unit: int | None, reason: str) -> None:
        worker.faults.append(unit)
        worker.reason = reason
        where = f"unit {unit}" if unit is not None else "the models"
        print(f"fault of the machine {worker.place}, {where}: {reason}", file=sys.stderr)
        kinds = set(worker.faults)
        if len(worker.faults) >= FAULTS and (len(kinds) > 1 or None in kinds) and not worker.evicted:
            self._evict(worker)

    def _evict(self, worker: _Worker) -> None:
        worker.evicted, worker.ready = True, False
        eviction = Eviction(worker.place or Place("?"), len(worker.faults), worker.reason, time.time())
        print(f"evicted: {eviction}", file=sys.stderr)
        worker.actor.stop.remote()
        record_eviction(self._store, eviction)

    def _retire(self, worker: _Worker) -> None:
        """End a worker on a CPU whose place workers on GPUs have taken, once it has nothing to do."""
        if worker.retired and not worker.calls and worker in self._workers:
            self._workers.remove(worker)
            ray.kill(worker.actor)

    def _bury(self, worker: _Worker, unit: int | None, error: RayActorError) -> None:
        """Forget a worker whose actor died, with its machine or alone. Its unit is made elsewhere."""
        if worker in self._workers:
            self._workers.remove(worker)
            if not worker.ready and not worker.retired:
                self._deaths += 1
        if unit is not None and unit != LOOK:
            self._queue.put_back(unit, worker)
            print(f"the worker on {worker.place} died with unit {unit}: {error_line(error)}", file=sys.stderr)
        if self._deaths > DEATHS_AT_START:
            raise RunError(
                f"{self._deaths} workers died before their models were loaded, the last of them: {error_line(error)}; "
                "what is committed stays, the same command goes on"
            )
        self._looked = -SECONDS_BETWEEN_LOOKS

    def _check_hope(self) -> None:
        """Raise if every worker that has a machine is evicted, and no other machine is to be expected."""
        evicted = [worker for worker in self._workers if worker.evicted]
        others = [worker for worker in self._workers if not worker.evicted]
        if not evicted or any(worker.place for worker in others):
            self._stuck_since = None
            return
        now = time.monotonic()
        self._stuck_since = now if self._stuck_since is None else self._stuck_since
        settings_at_fault = all(worker.faults == [None] for worker in evicted)
        patience = 0.0
        if others or not self._is_local:
            patience = SECONDS_TO_PLACE if settings_at_fault else self._cluster.wait_seconds
        if now - self._stuck_since < min(patience, self._cluster.wait_seconds):
            return
        last = evicted[-1]
        if settings_at_fault:
            raise WorkerError(last.reason)
        raise RunError(
            f"no worker is left: all {len(evicted)} are evicted, the last is {last.place}: {last.reason}; "
            "what is committed stays, the same command goes on"
        )
