from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.dataset.funnel import funnel_of
from pipeline.planning.plan import Plan
from stages.write import summarise
from tests.stages.unit_results import unit_result

PLAN = Plan(units=3, pairs=4, quarantined=2, settings={}, files=())
COMMITS = [
    summarise(replace(unit_result(0, 2, 3), rescored=3, shifts={"clip_sim_0": 0.03, "clip_sim_dir": 0.06})),
    summarise(replace(unit_result(1, 0, 5), rescored=1, shifts={"clip_sim_0": 0.01, "clip_sim_dir": 0.0})),
    summarise(unit_result(2, 1, 0, failed=1)),
]


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
