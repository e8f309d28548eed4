from __future__ import annotations

import pytest

from pipeline.report.failure_table import SHOWN, build_table


@pytest.mark.parametrize("count", [0, 1, 51, SHOWN])
def test_up_to_the_limit_all_are_shown_in_order(count: int):
    failures = [{"line": number, "reason": "r", "other": 0} for number in range(count)]
    table = build_table("bad", ("line", "reason"), failures, count)
    assert table.records == [[str(number), "r"] for number in range(count)]


@pytest.mark.parametrize("count", [SHOWN + 1, 3 * SHOWN + 7])
def test_above_the_limit_an_even_sample_is_shown(count: int):
    table = build_table("bad", ("line",), [{"line": number} for number in range(count)], count)
    places = [int(line) for (line,) in table.records]
    assert (len(places), table.total, places[0]) == (SHOWN, count, 0)
    gaps = {after - before for before, after in zip(places, [*places[1:], count], strict=True)}
    assert gaps <= {count // SHOWN, -(-count // SHOWN)}
