from __future__ import annotations

import pytest

from pipeline.report.failure_table import SHOWN, lines


@pytest.mark.parametrize("count", [0, 1, 51, SHOWN])
def test_up_to_the_bound_all_are_there_in_their_order(count: int):
    found = [{"line": number, "reason": "r", "other": 0} for number in range(count)]
    made = lines("bad", ("line", "reason"), found, count)
    assert made.rows == [[str(number), "r"] for number in range(count)]


@pytest.mark.parametrize("count", [SHOWN + 1, 3 * SHOWN + 7])
def test_of_more_an_even_share_is(count: int):
    made = lines("bad", ("line",), [{"line": number} for number in range(count)], count)
    places = [int(line) for (line,) in made.rows]
    assert (len(places), made.total, places[0]) == (SHOWN, count, 0)
    gaps = {after - before for before, after in zip(places, [*places[1:], count], strict=True)}
    assert gaps <= {count // SHOWN, -(-count // SHOWN)}
