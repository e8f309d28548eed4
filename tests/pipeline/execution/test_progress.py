from __future__ import annotations

import io
import time

import psutil
import pytest
from rich.console import Console

from pipeline.dataset.funnel import funnel_of
from pipeline.execution import progress
from pipeline.execution.progress import Display, clock
from pipeline.planning.plan import Plan
from stages.write import summarise
from tests.stages.unit_results import unit_result

PLAN = Plan(units=3, pairs=4, quarantined=2, settings={}, files=())
COMMITS = [
    summarise(unit_result(0, 2, 3)),
    summarise(unit_result(1, 0, 5)),
    summarise(unit_result(2, 1, 0, failed=1)),
]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the clock, in a list of one."""
    times = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: times[0])
    return times


def display(stream: io.StringIO, *, terminal: bool = False, done: int = 1) -> Display:
    console = Console(file=stream, width=100, force_terminal=terminal, color_system=None)
    return Display(console, PLAN.pairs, funnel_of(PLAN, COMMITS[:done]))


def test_without_a_terminal_progress_is_occasional_lines(now: list[float]):
    stream = io.StringIO()
    with display(stream).live() as shown:
        now[0] = 10.0
        shown.count_unit(COMMITS[1])
        assert stream.getvalue() == ""
        now[0] = 20.0
        shown.count_unit(COMMITS[2])
    # One pair was there before: 3 of 4 were made in the 20 seconds.
    assert stream.getvalue() == "4/4 pairs, 2 kept (50%), 0.15 pairs/s, 0:00 left\n"


def test_a_terminal_shows_pairs_rate_and_time_left(now: list[float]):
    stream = io.StringIO()
    with display(stream, terminal=True).live() as shown:
        now[0] = 10.0
        shown.count_unit(COMMITS[1])
        shown._progress.refresh()
    text = stream.getvalue()
    assert "2/4 pairs" in text
    assert "1 kept (50%), 0.10 pairs/s" in text
    assert "0:20 left" in text


def test_a_rate_counts_only_pairs_of_this_run(now: list[float]):
    shown = display(io.StringIO(), done=2)
    now[0] = 5.0
    assert shown.rate() == 0
    assert shown.seconds_left() is None
    assert "pairs/s" not in shown.state()
    shown.count_unit(COMMITS[2])
    assert shown.rate() == 2 / 5
    assert shown.seconds_left() == 0


def test_the_first_kept_sample_counts_from_the_process_start():
    shown = display(io.StringIO())
    shown.count_unit(COMMITS[1])
    assert shown.first_kept is None
    shown.count_unit(COMMITS[2])
    first = shown.first_kept
    assert first == pytest.approx(time.time() - psutil.Process().create_time(), abs=5)
    shown.count_unit(COMMITS[0])
    assert shown.first_kept == first


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"), (360_005, "100:00:05")],
)
def test_a_time_is_written_as_a_clock_shows_it(seconds: float | None, text: str):
    assert clock(seconds) == text


@pytest.mark.parametrize("width", [60, 80, 100, 110, 200])
def test_no_terminal_cuts_the_times(now: list[float], width: int):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    made = {**COMMITS[1], "pairs": 123_456, "pairs_kept": 123_456}
    with Display(console, 454_000, funnel_of(PLAN, [])).live() as shown:
        now[0] = 36_000.0
        shown.count_unit(made)
        shown._progress.refresh()
    text = stream.getvalue()
    assert "123,456/454,000 pairs" in text
    assert "123,456 kept" in text
    assert "26:46:27 left" in text
    assert " 0:00:0" in text
    assert "…" not in text
    assert ("3.43 pairs/s" in text) == (width >= 80)


def test_a_long_wait_is_explained_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "SECONDS_UNTIL_EXPLAINED", 0.05)
    stream = io.StringIO()
    with display(stream).explain_waiting("it does not answer"):
        time.sleep(0.3)
    with display(stream).explain_waiting("it answers"):
        pass
    time.sleep(0.2)
    assert stream.getvalue() == "it does not answer\n"
