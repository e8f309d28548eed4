"""The run's figures on Ray's own Prometheus endpoint: what each worker makes, and what the driver still waits for.

Ray exports what is counted here from each node's agent, under ``ray_`` and its own labels (NodeAddress, WorkerId).
Workers count what they make, also if another attempt was first to commit it: a run's result is in its commits.
"""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ray.util.metrics import Counter, Gauge, Histogram

from stages.records import UnitResult

M = TypeVar("M", bound=Counter | Gauge | Histogram)

# In seconds: from a pair of the mini world to a unit that nears cluster.unit_seconds.
UNIT_SECONDS = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]

# Seconds. Ray passes a gauge on once for each time that it is set, and then no more.
REPEATED = 0.5


class MetricsError(ValueError):
    """The figures cannot be served where they are asked for: one line with the mend."""


@dataclass(frozen=True)
class Series(Generic[M]):
    """``labels`` stand beside ``run``, which every series has: the run's output."""

    kind: type[M]
    name: str
    about: str
    labels: tuple[str, ...] = ()

    @property
    def exported(self) -> tuple[str, ...]:
        """The names under which Prometheus finds it."""
        if self.kind is Histogram:
            return tuple(f"ray_{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (f"ray_{self.name}{'_total' if self.kind is Counter else ''}",)

    def made(self, run: str) -> M:
        """The metric, in a process that Ray knows."""
        keys = ("run", *self.labels)
        bounds: dict[str, Any] = {"boundaries": UNIT_SECONDS} if self.kind is Histogram else {}
        return self.kind(self.name, self.about, tag_keys=keys, **bounds).set_default_tags({"run": run})


PAIRS = Series(Counter, "pairforge_pairs", "caption pairs made, failed ones among them")
FAILURES = Series(Counter, "pairforge_failures", "caption pairs set aside, each with its reason")
CANDIDATES = Series(Counter, "pairforge_candidates", "candidates scored, by tau to one decimal", ("tau",))
KEPT = Series(Counter, "pairforge_kept", "candidates kept, by tau to one decimal", ("tau",))
ROWS = Series(Counter, "pairforge_rows", "denoiser rows evaluated")
SECONDS = Series(Counter, "pairforge_seconds", "workers' time, by activity; between is none", ("activity",))
UNIT_TIME = Series(Histogram, "pairforge_unit_seconds", "time that a unit took")
IN_FLIGHT = Series(Gauge, "pairforge_units_in_flight", "units being made: 0 or 1 a worker")
COMMITTED = Series(Counter, "pairforge_units_committed", "units committed by this driver")
LEFT = Series(Gauge, "pairforge_units_left", "units not committed, those in flight among them")

SERIES = (PAIRS, FAILURES, CANDIDATES, KEPT, ROWS, SECONDS, UNIT_TIME, IN_FLIGHT, COMMITTED, LEFT)


class Standing:
    """A gauge whose value stands until another is set."""

    def __init__(self, gauge: Gauge, value: float) -> None:
        self._gauge, self._value, self._closed = gauge, value, threading.Event()
        threading.Thread(target=self._repeat, daemon=True).start()

    def set(self, value: float) -> None:
        """Let it have another."""
        self._value = value
        self._gauge.set(value)

    def close(self) -> None:
        """Let it have none."""
        self._closed.set()

    def _repeat(self) -> None:
        while not self._closed.is_set():
            self._gauge.set(self._value)
            self._closed.wait(REPEATED)


class WorkerMetrics:
    """What one worker makes."""

    def __init__(self, run: str) -> None:
        own = (PAIRS, FAILURES, CANDIDATES, KEPT, ROWS, SECONDS)
        self._counters = {series.name: series.made(run) for series in own}
        self._unit_time, self._in_flight = UNIT_TIME.made(run), Standing(IN_FLIGHT.made(run), 0)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """A unit is in flight while the block runs."""
        self._in_flight.set(1)
        try:
            yield
        finally:
            self._in_flight.set(0)

    def made(self, result: UnitResult, seconds: Mapping[str, float]) -> None:
        """Count a unit in; ``seconds`` by activity, all of the worker's time since the one before."""
        self._add(PAIRS, len(result.unit.pairs))
        self._add(FAILURES, len(result.failures))
        self._add(ROWS, result.rows)
        for candidate in result.candidates:
            # Drawn values of tau would each be a series of their own.
            tau = f"{candidate.tau:.1f}"
            self._add(CANDIDATES, 1, tau=tau)
            self._add(KEPT, int(candidate.kept), tau=tau)
        for activity, spent in seconds.items():
            self._add(SECONDS, spent, activity=activity)
        self._unit_time.observe(sum(spent for name, spent in seconds.items() if name != "between"))

    def _add(self, series: Series[Counter], value: float, **labels: str) -> None:
        # A counter takes nothing but what is over 0.
        if value > 0:
            self._counters[series.name].inc(value, tags=labels)


class DriverMetrics:
    """What the driver waits for."""

    def __init__(self, run: str, left: int) -> None:
        """``left`` units are not committed."""
        self._committed, self._left = COMMITTED.made(run), Standing(LEFT.made(run), left)
        self._waiting = left

    def committed(self) -> None:
        """Count a unit in."""
        self._committed.inc()
        self._waiting -= 1
        self._left.set(self._waiting)

    def close(self) -> None:
        """Tell no more, before Ray is left."""
        self._left.close()


def checked(port: int | None) -> int | None:
    """``cluster.metrics_port``, if a Ray that starts on this machine can serve it. Raises MetricsError.

    Ray's agent would end with an error, and its node after it.
    """
    if port is None:
        return None
    if importlib.util.find_spec("prometheus_client") is None:
        raise MetricsError(
            f"cluster.metrics_port={port} needs Ray's metrics agent: pip install 'pairforge[cluster]'"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise MetricsError(f"cluster.metrics_port={port}: {error.strerror}; give another") from error
    return port
