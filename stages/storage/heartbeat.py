"""Signs of life in an output: a heartbeat of each driver, and a note of each unit in flight."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

import psutil

from stages.storage.store import Store

FOLDER = "run/drivers"
UNITS_FOLDER = "run/flight"
SECONDS_BETWEEN = 10.0
SECONDS_UNTIL_DEAD = 60.0


@dataclass(frozen=True)
class Heartbeat:
    """The last heartbeat of a driver.

    ``state`` is running, finished, stopped or failed. Times are seconds since 1970 by the driver's clock. ``rate`` is
    the number of caption pairs a second since the driver started. ``first_kept`` is the time from the start of its
    process to the first kept sample in seconds, None before that. ``processes`` names the set of processes that ``pid``
    is of: containers of one host have a set each.
    """

    id: str
    host: str
    pid: int
    started: float
    seen: float
    state: str
    rate: float
    first_kept: float | None = None
    processes: str = ""

    def is_alive(self, now: float) -> bool:
        """Return False if the driver has ended, is gone from this machine, or was silent for too long to be alive."""
        return self.state == "running" and now - self.seen < SECONDS_UNTIL_DEAD and not self._is_gone()

    def _is_gone(self) -> bool:
        """True if this machine runs the driver's processes, and the driver is none of them."""
        if (self.host, self.processes) != (socket.gethostname(), _processes()):
            return False
        try:
            # A later process may have got the number of the driver's. Two clocks may differ by a second.
            return psutil.Process(self.pid).create_time() > self.started + 1
        except psutil.Error:
            return True


@dataclass(frozen=True)
class UnitInFlight:
    """A unit that a worker makes. ``started`` is in seconds since 1970 by the worker's clock."""

    unit: int
    host: str
    pid: int
    started: float


@contextmanager
def keep_heartbeat(
    store: Store, rate: Callable[[], float], first_kept: Callable[[], float | None] = lambda: None
) -> Iterator[None]:
    """Write this driver's heartbeat every few seconds while the block runs, and at the end how the driver ended."""
    started, driver = time.time(), uuid.uuid4().hex[:12]
    name = f"{FOLDER}/{int(started)}-{driver}.json"

    def write(state: str) -> None:
        heartbeat = Heartbeat(
            driver,
            socket.gethostname(),
            os.getpid(),
            started,
            time.time(),
            state,
            rate(),
            first_kept(),
            _processes(),
        )
        store.write(name, json.dumps(asdict(heartbeat)).encode())

    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(SECONDS_BETWEEN):
            # The run continues if its heartbeat cannot be written.
            with suppress(OSError):
                write("running")

    write("running")
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    state = "failed"
    try:
        yield
        state = "finished"
    except KeyboardInterrupt:
        state = "stopped"
        raise
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            write(state)


def read_heartbeats(store: Store) -> list[Heartbeat]:
    """Read the last heartbeat of every driver of the output, the earliest driver first."""
    return [Heartbeat(**json.loads(store.read(name))) for name in store.list(FOLDER)]


def note_unit(store: Store, unit: int) -> None:
    """Note that this process has begun ``unit``."""
    note = UnitInFlight(unit, socket.gethostname(), os.getpid(), round(time.time(), 3))
    store.write(_note_name(unit), json.dumps(asdict(note)).encode())


def remove_note(store: Store, unit: int) -> None:
    """Remove the note of a unit that is committed."""
    store.remove(_note_name(unit))


def read_notes(store: Store) -> list[UnitInFlight]:
    """Read the notes in the order of units. A note of a killed worker stays until its unit is made."""
    notes = []
    for name in store.list(UNITS_FOLDER):
        # A worker may remove its note after the listing.
        with suppress(FileNotFoundError):
            notes.append(UnitInFlight(**json.loads(store.read(name))))
    return notes


def _processes() -> str:
    """The name of the set of processes that this one is of, "" on systems that have one set."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _note_name(unit: int) -> str:
    return f"{UNITS_FOLDER}/{unit:08d}.json"
