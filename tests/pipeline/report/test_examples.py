from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.report import examples


def table(records: list[tuple[str, bool, float]]) -> pa.Table:
    ids, kept, direction = zip(*records, strict=True)
    return pa.table({"pair_id": list(ids), "kept": list(kept), "clip_sim_dir": list(direction)})


def test_kept_is_the_best_sample_of_the_lowest_pair_ids():
    records = [(f"{n:04d}", True, 0.3) for n in reversed(range(examples.KEPT + 10))]
    records += [("0000", True, 0.9), ("0001", False, 0.99)]
    chosen = examples.select_kept(table(records))
    ids = [records[index][0] for index in chosen]
    assert ids == [f"{n:04d}" for n in range(examples.KEPT)]
    assert records[chosen[0]][2] == 0.9
    assert records[chosen[1]][1]


def test_misses_are_ordered_and_one_of_each_pair():
    records = [
        ("a", False, 0.19),
        ("a", False, 0.18),
        ("b", False, -0.5),
        ("c", True, 0.3),
        ("d", False, 0.1),
    ]
    near, worst = examples.select_missed(table(records), {"clip_sim_dir": 0.2})
    assert near == [0, 4, 2]
    assert worst == [1]


def test_a_candidate_that_passed_is_not_a_miss():
    records = [("a", False, 0.5)]
    assert examples.select_missed(table(records), {"clip_sim_dir": 0.2}) == ([], [])
    assert examples.shortfall(table(records), {"clip_sim_dir": 0.7}) == pytest.approx([0.2])


def test_only_candidates_with_pictures_are_chosen_where_some_are():
    records = [("a", False, 0.19), ("a", False, 0.1), ("b", False, 0.15), ("c", False, 0.0)]
    among = np.array([False, True, True, False])
    assert examples.select_missed(table(records), {"clip_sim_dir": 0.2}, among) == ([2, 1], [])


@pytest.mark.parametrize(
    ("kept", "pairs_kept", "sentence"),
    [
        (0, 0, "Nothing was kept."),
        (1, 1, "Kept: the only pair with a sample, by its best sample in direction."),
        (46, 46, "Kept: all 46 pairs with a sample, each by its best sample in direction."),
        (
            240,
            1234,
            "Kept: 240 of 1,234 pairs with a sample, drawn by a hash, each by its best sample in direction.",
        ),
    ],
)
def test_the_rule_has_the_numbers_of_the_run(kept: int, pairs_kept: int, sentence: str):
    assert examples.describe_rule(kept, pairs_kept, drawn_from=0, missed=0) == sentence


def test_the_rule_tells_which_pairs_have_pictures():
    some, every = (examples.describe_rule(5, 5, drawn_from=count, missed=70) for count in (64, 70))
    assert "Near misses" in some
    assert "Near misses" in every
    assert "64 of 70 pairs" in some
    assert "of 70" not in every
