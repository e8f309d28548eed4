from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipeline.dataset.funnel import funnel_of
from pipeline.execution.progress import Display
from pipeline.planning.plan import Plan
from stages.write import summarise
from tests.stages.unit_results import unit_result

PLAN = Plan(units=3, pairs=4, quarantined=2, settings={}, files=())
COMMITS = [
    summarise(replace(unit_result(0, 2, 3), rescored=3, shifts={"clip_sim_0": 0.03, "clip_sim_dir": 0.06})),
    summarise(replace(unit_result(1, 0, 5), rescored=1, shifts={"clip_sim_0": 0.01, "clip_sim_dir": 0.0})),
    summarise(unit_result(2, 1, 0, failed=1)),
]


def make_console(width: int = 100) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=width), stream


def test_every_candidate_is_counted_once():
    funnel = funnel_of(PLAN, COMMITS)
    assert (funnel.read, funnel.quarantined, funnel.pairs, funnel.failed) == (6, 2, 4, 1)
    assert funnel.candidates == funnel.samples + sum(funnel.rejected.values()) == 11
    assert (funnel.samples, funnel.pairs_kept, funnel.keep_rate) == (3, 2, 0.5)
    assert funnel.seconds == {"denoise": 4.5, "score": 0.75}
    assert funnel.utilisation == pytest.approx(4.5 / 5.25)


def test_the_score_shift_is_a_mean_over_rescored_candidates():
    shift = funnel_of(PLAN, COMMITS).score_shift
    assert shift == pytest.approx({"clip_sim_0": 0.01, "clip_sim_dir": 0.015})
    assert funnel_of(PLAN, COMMITS[2:]).score_shift == {}


def test_an_empty_run_has_a_funnel():
    funnel = funnel_of(PLAN, [])
    assert (funnel.keep_rate, funnel.utilisation) == (0, 0)


def test_without_a_terminal_progress_is_occasional_lines(monkeypatch):
    console, stream = make_console()
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    display = Display(console, 4, funnel_of(PLAN, COMMITS[:1]))
    with display.live():
        clock[0] = 10.0
        display.count_unit(COMMITS[1])
        assert stream.getvalue() == ""
        clock[0] = 20.0
        display.count_unit(COMMITS[2])
    # One pair was there before: 3 of 4 were made in the 20 seconds.
    assert stream.getvalue() == "4/4 pairs, 2 kept (50%), 0.15 pairs/s, 0:00 left\n"
