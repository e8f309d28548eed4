from __future__ import annotations

import json
from pathlib import Path

from benchmarks.scale import large_runs
from benchmarks.scale.synthetic_captions import write_captions


def test_captions_differ_and_continue(tmp_path: Path):
    whole = write_captions(tmp_path / "whole.jsonl", 3000).read_text()
    parts = [write_captions(tmp_path / f"{first}.jsonl", 1500, first).read_text() for first in (0, 1500)]
    assert whole == "".join(parts)
    pairs = [json.loads(line) for line in whole.splitlines()]
    assert len({(pair["input"], pair["output"]) for pair in pairs}) == 3000
    assert all(pair["input"] != pair["output"] for pair in pairs)


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
