from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.report import examples


def table(rows: list[tuple[str, bool, float]]) -> pa.Table:
    ids, kept, direction = zip(*rows, strict=True)
    return pa.table({"pair_id": list(ids), "kept": list(kept), "clip_sim_dir": list(direction)})


def test_kept_is_the_best_sample_of_the_pairs_with_the_lowest_ids():
    rows = [(f"{n:04d}", True, 0.3) for n in reversed(range(examples.KEPT + 10))]
    rows += [("0000", True, 0.9), ("0001", False, 0.99)]
    chosen = examples.kept(table(rows))
    ids = [rows[row][0] for row in chosen]
    assert ids == [f"{n:04d}" for n in range(examples.KEPT)]
    assert rows[chosen[0]][2] == 0.9
    assert rows[chosen[1]][1]


def test_misses_are_ordered_by_what_they_lack_and_one_a_pair():
    rows = [("a", False, 0.19), ("a", False, 0.18), ("b", False, -0.5), ("c", True, 0.3), ("d", False, 0.1)]
    near, worst = examples.missed(table(rows), {"clip_sim_dir": 0.2})
    assert near == [0, 4, 2]
    assert worst == [1]


def test_a_candidate_that_passed_is_no_miss():
    rows = [("a", False, 0.5)]
    assert examples.missed(table(rows), {"clip_sim_dir": 0.2}) == ([], [])
    assert examples.shortfall(table(rows), {"clip_sim_dir": 0.7}) == pytest.approx([0.2])
