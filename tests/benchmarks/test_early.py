from __future__ import annotations

import numpy as np
import pytest

from benchmarks.early import Edit, onward, played
from p2p.sweep.tree import evaluations, grow, schedules

LIMITS, GOOD, POOR = np.full(4, 0.5), (0.6,) * 4, (0.6, 0.6, 0.3, 0.6)


def edit(
    sweep: int, members: tuple[int, ...], predicted: tuple[float, ...], final: tuple[float, ...]
) -> Edit:
    return Edit(("pair", sweep), members, 10, 6, predicted, final)


def test_what_is_left_is_counted_and_a_trunk_s_rows_once():
    edits = [
        edit(0, (0,), GOOD, POOR),
        edit(0, (1, 2), POOR, POOR),
        edit(0, (1, 2), POOR, GOOD),
        edit(1, (0,), POOR, POOR),
        edit(1, (1,), POOR, POOR),
    ]
    found = played(edits, LIMITS, np.zeros(4))
    assert (found.edits, found.failing, found.left, found.right) == (5, 4, 4, 3)
    # The trunk of the first sweep, and both edits of the second with its source.
    assert found.saved == 10 + 10 + 10 + 6
    assert (found.precision, found.recall, found.lost) == (0.75, 0.75, 1.0)
    assert played(edits, LIMITS, np.array([0, 0, 0.25, 0])).left == 0


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_the_steps_to_come_are_all_but_those_taken(step: int):
    taus = (0.0, 0.25, 0.5, 1.0)
    tree = grow(schedules(taus, (), 1.0, 0.5, 8))
    rest = dict(onward(tree, step))
    assert sorted(member for members in rest for member in members) == [0, 1, 2, 3]
    before = sum(min(step, len(branch.injections)) for branch in tree)
    if step == 1:
        assert sum(rest.values()) == evaluations(taus, 1.0, 0.5, 8) - 8 - before
    if step == 7:
        assert set(rest.values()) == {1}
