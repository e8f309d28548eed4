from __future__ import annotations

import numpy as np

from benchmarks.truth.real_image_edits import METHODS, Cost, Result, draw_edits, table


def test_the_background_holds_nothing_that_the_edit_changes():
    drawn = draw_edits(2)
    assert {item.edit.kind for item in drawn if item.background is None} <= {"style", "sky", "ground"}
    for item in drawn:
        if item.background is not None:
            difference = np.abs(item.image.astype(int) - item.truth)[item.background]
            assert difference.max() < 3
    assert [item.edit for item in draw_edits(2)] == [item.edit for item in drawn]
    assert not np.array_equal(drawn[0].image, drawn[1].image)


def test_the_table_has_means_by_method_and_tau():
    first, second = METHODS[:2]
    results = [
        Result(first, 0.2, 20.0, 30.0, 0.9, 15.0, True, True),
        Result(first, 0.2, 22.0, None, None, 17.0, True, False),
        Result(second, 0.4, 25.0, 26.0, 0.8, 19.0, False, True),
    ]
    text = table(results, {first: Cost(120, 1.5), second: Cost(80, 1.25)})
    assert f"| {first.name} | 0.2 | 21.0 | 30.0 | 0.900 | 16.0 | 100% | 50% | 50% | 120 | 1.5 |" in text
    assert f"| {second.name} | 0.4 | 25.0 | 26.0 | 0.800 | 19.0 | 0% | 100% | 0% | 80 | 1.2 |" in text
