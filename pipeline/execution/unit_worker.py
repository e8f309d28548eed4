"""The Ray actor of a worker: generates, writes and commits one unit for each call."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum

import ray

from conf.messages import error_line
from conf.pairs import LOADED_WRITERS, PairsConfig, Settings
from pipeline.errors import unwritable
from pipeline.execution import metrics
from stages.errors import MachineError, StageError
from stages.records import Place, Unit, UnitResult
from stages.storage import heartbeat
from stages.storage.plan_files import read_unit
from stages.storage.store import DamageError, Store
from stages.worker.supervisor import Supervised
from stages.write import summarise, write_unit


class Ending(Enum):
    """How a call of a worker ended."""

    done = "done"
    """The worker is set up, or the unit is committed."""
    fault = "fault"
    """The machine is at fault; another worker can make the unit."""
    not_set_up = "not set up"
    """The stage cannot be set up on this machine."""
    refused = "refused"
    """The stage refuses every unit, on every machine."""
    unwritable = "unwritable"
    """The output cannot be read or written from this machine."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call: the unit's summary as JSON in ``text``, or one line about what went wrong."""

    ending: Ending
    text: str = ""
    place: Place | None = None


class UnitWorker:
    """Makes units with a stage that it keeps in a process of its own.

    Two calls of ``make`` may run at once: the files of one unit are encoded and written while the models make the
    next.
    """

    def __init__(
        self,
        config: Settings,
        model_fingerprint: str,
        encode: Callable[[UnitResult], dict[str, bytes]],
        environment: Mapping[str, str],
        has_gpu: bool,
    ) -> None:
        """Keep what ``start`` needs: an exception here would kill the actor, and Ray would not show its text.

        ``environment``: variables for the stage's process, which no file and no log may show.
        """
        os.environ.update(environment)
        self._config, self._model_fingerprint, self._encode = config, model_fingerprint, encode
        self._has_gpu = has_gpu
        self._stage: Supervised | None = None
        self._model, self._writing = threading.Lock(), threading.Lock()

    def locate(self) -> Place:
        """Return the machine and the GPU of this actor; called first, it tells that the actor has its resources."""
        gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
        return Place(socket.gethostname(), gpu=",".join(map(str, gpus)))

    def start(self) -> Outcome:
        """Set up the stage."""
        try:
            self._store = Store(self._config.out)
            self._stage = Supervised(
                self._config, self._model_fingerprint, self._has_gpu and _computes(self._config)
            )
        except MachineError as error:
            return Outcome(Ending.fault, str(error))
        except StageError as error:
            return Outcome(Ending.not_set_up, str(error))
        self._metrics = metrics.WorkerMetrics(self._config.out)
        self._since = time.perf_counter()
        return Outcome(Ending.done, place=self._stage.place)

    def make(self, index: int, slowest: float) -> Outcome:
        """Generate, write and commit a unit. ``slowest``: seconds of the slowest unit so far, 0 if none is known."""
        try:
            return self._make(index, slowest)
        except MachineError as error:
            return Outcome(Ending.fault, str(error))
        except (StageError, DamageError) as error:
            # The driver ends all workers then: first the unit before this one is committed.
            with self._writing:
                return Outcome(Ending.refused, str(error))
        except OSError as error:
            return Outcome(Ending.unwritable, unwritable(error, f"the output {self._store.url}"))
        # A bug, or the library of an object store.
        except Exception as error:
            return Outcome(Ending.fault, f"{type(error).__name__}: {error_line(error)}")

    def probe(self, unit: Unit) -> UnitResult | Outcome:
        """Make a unit that is not of a plan, and write nothing. Returns an Outcome if it was not made."""
        assert self._stage is not None, "start comes first"
        try:
            return self._stage(unit)
        except (MachineError, StageError) as error:
            return Outcome(Ending.refused, str(error))

    def stop(self) -> None:
        """End the stage's process, which frees its GPU."""
        if self._stage is not None:
            self._stage.close()

    def _make(self, index: int, slowest: float) -> Outcome:
        assert self._stage is not None, "the driver calls start first"
        unit = read_unit(self._store, index)
        with self._model:
            heartbeat.note_unit(self._store, index)
            with self._metrics.unit():
                result = self._stage(unit, slowest)
            summary = summarise(result)
            # The rest of the worker's time, waiting included, lies between activities.
            now = time.perf_counter()
            summary["seconds"]["between"] = round(now - self._since - sum(result.seconds.values()), 3)
            summary["worker"] = asdict(self._stage.place)
            self._since = now
            self._metrics.count_unit(result, summary["seconds"])
            self._writing.acquire()
        try:
            write_unit(self._store, self._encode(result), summary)
        finally:
            self._writing.release()
        heartbeat.remove_note(self._store, index)
        return Outcome(Ending.done, json.dumps(summary))


def _computes(config: Settings) -> bool:
    """Whether the stage is to compute on a GPU that it is given."""
    if isinstance(config, PairsConfig):
        writer = config.writer
        return writer.kind in LOADED_WRITERS and writer.device != "cpu"
    return config.model.device != "cpu"
