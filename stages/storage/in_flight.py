"""Notes of the units in flight: one small file a unit, from its start to its commit."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict, dataclass

from stages.storage.store import Store

FOLDER = "run/flight"


@dataclass(frozen=True)
class Flight:
    """A unit that a worker is making. ``started`` is in seconds since the epoch, by the worker's clock."""

    unit: int
    host: str
    pid: int
    started: float


def note(store: Store, unit: int) -> None:
    """Records that this process has begun ``unit``."""
    flight = Flight(unit, socket.gethostname(), os.getpid(), round(time.time(), 3))
    store.write(_name(unit), json.dumps(asdict(flight)).encode())


def clear(store: Store, unit: int) -> None:
    store.remove(_name(unit))


def noted(store: Store) -> list[Flight]:
    """Returns the notes, in the order of units. Notes of a killed run stay until their unit is made."""
    found = []
    for name in store.list(FOLDER):
        try:
            found.append(Flight(**json.loads(store.read(name))))
        except FileNotFoundError:
            continue
    return found


def _name(unit: int) -> str:
    return f"{FOLDER}/{unit:08d}.json"
