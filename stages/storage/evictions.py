"""Records of evicted workers in the output: which GPU of which machine gets no more units, and why."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass

from stages.records import Place
from stages.storage.store import Store

FOLDER = "run/evictions"


@dataclass(frozen=True)
class Eviction:
    """A worker that gets no more units. ``faults`` of its machine came one after the other; ``reason`` is the last.

    ``at`` is in seconds since 1970 by the driver's clock.
    """

    place: Place
    faults: int
    reason: str
    at: float

    def __str__(self) -> str:
        times = f" ({self.faults} times)" if self.faults > 1 else ""
        return f"{self.place}: {self.reason}{times}"


def record_eviction(store: Store, eviction: Eviction) -> None:
    """Record an eviction."""
    store.write_record(f"{FOLDER}/{int(time.time())}-{uuid.uuid4().hex[:12]}.json", asdict(eviction))


def read_evictions(store: Store) -> list[Eviction]:
    """Read the evictions of all drivers of the output, the earliest first. Raises DamageError."""
    records = map(store.read_record, store.list(FOLDER))
    return [Eviction(**{**record, "place": Place(**record["place"])}) for record in records]
