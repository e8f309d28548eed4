"""The run's figures, as Prometheus reads them from a real Ray."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ray.util.metrics import Counter, Gauge, Histogram

from pipeline.execution import metrics
from stages.records import CaptionPair
from tests.fire import fire
from tests.fire.fire import Fire
from tests.stages.worker.poison_stage import HANG, SEGFAULT

SECONDS = 250
pytestmark = pytest.mark.timeout(300)

Samples = dict[tuple[str, str], float]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(port: int) -> Samples:
    """Every series of the project: its name, and its tau or activity, with its value, summed over workers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("ray_pairforge"):
                assert Path(sample.labels["run"]).name == "out"
                key = (sample.name, sample.labels.get("tau") or sample.labels.get("activity", ""))
                found[key] = found.get(key, 0.0) + sample.value
    return found


def until(port: int, wanted: Callable[[Samples], bool]) -> Samples:
    deadline, found = time.monotonic() + SECONDS, Samples()
    while time.monotonic() < deadline:
        found = scrape(port)
        if wanted(found):
            break
        time.sleep(0.5)
    return found


def test_the_endpoint_tells_what_was_made_and_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Ray's own is ten seconds.
    monkeypatch.setenv("RAY_metrics_report_interval_ms", "1000")
    good, lost, stuck = fire.pairs(7), CaptionPair(SEGFAULT, "e", "o"), CaptionPair(HANG, "e", "o")
    port = free_port()
    more = (*fire.FAKE, "cluster.workers=1", f"cluster.metrics_port={port}")
    run = Fire(tmp_path / "run", [*good, lost, stuck], *more)
    process = run.start()
    family = [psutil.Process(process.pid)]
    try:
        # Four units are committed, one of them with the pair that died; the last one hangs.
        found = until(
            port,
            lambda now: (
                now.get(("ray_pairforge_units_left", "")) == 1
                and now.get(("ray_pairforge_units_in_flight", "")) == 1
                and now.get(("ray_pairforge_pairs_total", "")) == 8
            ),
        )
        family += fire.descendants(family[0])
    finally:
        fire.interrupt(process)
        fire.end(family)
    assert found, run.said()
    counts = {name: value for (name, label), value in found.items() if not label}
    del counts["ray_pairforge_unit_seconds_sum"]
    assert counts == {
        "ray_pairforge_pairs_total": 8,
        "ray_pairforge_failures_total": 1,
        "ray_pairforge_rows_total": 7,
        "ray_pairforge_unit_seconds_bucket": counts["ray_pairforge_unit_seconds_bucket"],
        "ray_pairforge_unit_seconds_count": 4,
        "ray_pairforge_units_in_flight": 1,
        "ray_pairforge_units_committed_total": 4,
        "ray_pairforge_units_left": 1,
    }
    assert found["ray_pairforge_candidates_total", "0.5"] == 7
    assert found["ray_pairforge_kept_total", "0.5"] == 7
    assert found["ray_pairforge_seconds_total", "sweep"] >= 0.003
    assert found["ray_pairforge_seconds_total", "between"] > 0
    exported = {name for series in metrics.SERIES for name in series.exported}
    assert {name for name, _ in found} == exported


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Counter, ("ray_n_total",)),
        (Gauge, ("ray_n",)),
        (Histogram, ("ray_n_bucket", "ray_n_sum", "ray_n_count")),
    ],
)
def test_a_series_is_exported_by_the_names_of_its_kind(kind: type, names: tuple[str, ...]):
    assert metrics.Series(kind, "n", "").exported == names


def test_a_port_that_is_taken_is_told_before_ray_starts():
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(metrics.MetricsError, match=rf"cluster\.metrics_port={port}: .*; give another"):
            metrics.check_port(port)


def test_without_ray_s_agent_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(metrics.MetricsError, match=r"pip install 'pairforge\[cluster\]'"):
        metrics.check_port(8080)
    assert metrics.check_port(None) is None
