"""Metrics of workers and driver on Ray's Prometheus endpoint.

Ray exports them from each node's agent, with the prefix ``ray_`` and its own labels (NodeAddress, WorkerId). Workers
count what they make even if another attempt commits first; the result of a run is in its commits.
"""

from __future__ import annotations

import importlib.util
import socket
import string
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from ray.util.metrics import Counter, Gauge, Histogram

from stages.records import UnitResult

M = TypeVar("M", bound=Counter | Gauge | Histogram)

# Seconds, from a pair of the mini world to a unit near cluster.unit_seconds.
UNIT_SECONDS = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]

# Ray exports a gauge once each time it is set.
SECONDS_BETWEEN_SETS = 0.5


class MetricsError(ValueError):
    """The metrics cannot be served at the port: one line with the fix."""


@dataclass(frozen=True)
class Series(Generic[M]):
    """A metric. ``labels`` are added to ``run``, the run's output, which every series has."""

    kind: type[M]
    name: str
    about: str
    labels: tuple[str, ...] = ()

    @property
    def exported(self) -> tuple[str, ...]:
        """The names of the series in Prometheus."""
        if self.kind is Histogram:
            return tuple(f"ray_{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (f"ray_{self.name}{'_total' if self.kind is Counter else ''}",)

    def create(self, run: str) -> M:
        """Create the metric. The process must be connected to Ray."""
        keys = ("run", *self.labels)
        bounds: dict[str, Any] = {"boundaries": UNIT_SECONDS} if self.kind is Histogram else {}
        # Ray encodes labels as ASCII: an umlaut in the output's path would kill the worker.
        label = quote(run, safe=string.printable)
        return self.kind(self.name, self.about, tag_keys=keys, **bounds).set_default_tags({"run": label})


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


class RepeatedGauge:
    """A gauge that is set again and again to the same value, so that Ray keeps exporting it."""

    def __init__(self, gauge: Gauge, value: float) -> None:
        self._gauge, self._value, self._closed = gauge, value, threading.Event()
        threading.Thread(target=self._repeat, daemon=True).start()

    def set(self, value: float) -> None:
        """Set the value."""
        self._value = value
        self._gauge.set(value)

    def close(self) -> None:
        """Stop repeating the value."""
        self._closed.set()

    def _repeat(self) -> None:
        while not self._closed.is_set():
            self._gauge.set(self._value)
            self._closed.wait(SECONDS_BETWEEN_SETS)


class WorkerMetrics:
    """The metrics of one worker."""

    def __init__(self, run: str) -> None:
        counters = (PAIRS, FAILURES, CANDIDATES, KEPT, ROWS, SECONDS)
        self._counters = {series.name: series.create(run) for series in counters}
        self._unit_time, self._in_flight = UNIT_TIME.create(run), RepeatedGauge(IN_FLIGHT.create(run), 0)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Count a unit as in flight while the block runs."""
        self._in_flight.set(1)
        try:
            yield
        finally:
            self._in_flight.set(0)

    def count_unit(self, result: UnitResult, seconds: Mapping[str, float]) -> None:
        """Count a unit. ``seconds``: the worker's time since its last unit, by activity."""
        self._add(PAIRS, len(result.unit.pairs))
        self._add(FAILURES, len(result.failures))
        self._add(ROWS, result.rows)
        for candidate in result.candidates:
            # Each drawn value of tau would be a series of its own.
            tau = f"{candidate.tau:.1f}"
            self._add(CANDIDATES, 1, tau=tau)
            self._add(KEPT, int(candidate.kept), tau=tau)
        for activity, spent in seconds.items():
            self._add(SECONDS, spent, activity=activity)
        self._unit_time.observe(sum(spent for name, spent in seconds.items() if name != "between"))

    def _add(self, series: Series[Counter], value: float, **labels: str) -> None:
        # A counter refuses 0.
        if value > 0:
            self._counters[series.name].inc(value, tags=labels)


class DriverMetrics:
    """The metrics of the driver."""

    def __init__(self, run: str, left: int) -> None:
        """``left``: number of units that are not committed."""
        self._committed, self._left = COMMITTED.create(run), RepeatedGauge(LEFT.create(run), left)
        self._waiting = left

    def count_unit(self) -> None:
        """Count a committed unit."""
        self._committed.inc()
        self._waiting -= 1
        self._left.set(self._waiting)

    def close(self) -> None:
        """Stop exporting. Call it before Ray shuts down."""
        self._left.close()


def check_port(port: int | None) -> int | None:
    """Return ``cluster.metrics_port`` if a Ray started here can serve it, else raise MetricsError.

    Ray's agent would fail, and end its node.
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
            raise MetricsError(f"cluster.metrics_port={port}: {error.strerror}; give another port") from error
    return port
