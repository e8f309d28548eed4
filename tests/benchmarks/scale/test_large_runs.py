from __future__ import annotations

from pathlib import Path

from benchmarks.scale import large_runs
from benchmarks.scale.synthetic_captions import write_captions


def test_all_pairs_are_planned_and_costs_measured(tmp_path: Path):
    write_captions(tmp_path / "pairs.jsonl", 2000)
    measured = large_runs.plan_once(tmp_path, 2000)
    assert measured.keys() == {"plan", "cpu", "resume", "peak", "helper"}
    assert 0 < measured["resume"] < measured["plan"]
    assert large_runs.listing(300) > 0
    assert min(large_runs.packing(0.003, 7_500)) > 0
    large_runs.draw_figure([(2000, measured), (4000, measured)], tmp_path / "large_runs.png")
    assert (tmp_path / "large_runs.png").stat().st_size > 1000


def test_planning_takes_little_memory():
    # A driver that loads torch takes 800 MiB.
    ((count, cost),) = large_runs.planning([100])
    assert count == 100
    assert cost["peak"] < 500
