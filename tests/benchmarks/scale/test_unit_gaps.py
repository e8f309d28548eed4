from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.scale import unit_gaps
from pipeline.config import resolve
from stages.records import CaptionPair, Unit


def test_gaps_exclude_first_unit_of_each_worker() -> None:
    workers = [
        [(0, 100.0, 101.0), (2, 105.0, 106.0), (4, 106.25, 107.25), (5, 107.5, 108.5)],
        [(1, 100.0, 101.0), (3, 101.5, 102.5)],
    ]
    gaps = unit_gaps.gaps_of(workers, 1.0)
    assert (gaps.workers, gaps.gaps, gaps.wall) == (2, (0.25, 0.25), 8.5)
    assert gaps.share == pytest.approx(0.25 / 60.25)
    assert "| 2 | 1 | 2.00 | 2 | 250 | 250 | 250 | 250 | 0.41% |" in unit_gaps.section([gaps])


def test_stage_notes_begin_and_end(tmp_path: Path) -> None:
    (tmp_path / unit_gaps.TIMES).mkdir()
    (tmp_path / unit_gaps.TIMES / "seconds").write_text("0.05")
    stage = unit_gaps.SleepingStage(resolve.checked(resolve.compose([f"out={tmp_path / 'out'}"])), "")
    results = [stage(Unit(index, (CaptionPair(f"a {index}", "e", "b"),))) for index in range(3)]
    assert all(len(result.candidates) == unit_gaps.CANDIDATES for result in results)
    (file,) = (tmp_path / unit_gaps.TIMES).glob("*.jsonl")
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    assert [note[0] for note in notes] == [0, 1, 2]
    assert all(end - begin >= 0.05 for _, begin, end in notes)
