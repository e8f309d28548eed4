from __future__ import annotations

import pytest

from benchmarks.scale import driver_memory


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_driver_stays_small_and_everything_is_measured() -> None:
    measured = driver_memory.run(units=200, workers=1)
    assert measured["units"] == 200
    assert measured["rate"] == pytest.approx(200 / measured["seconds"])
    # A driver that loads torch and matplotlib for its report takes some 700 MiB.
    assert 0 < measured["peak"] < 1200
    assert 0 < measured["resumed"] < measured["seconds"]
    assert 0 < measured["report_peak"] < 1200


def test_a_command_that_fails_is_told() -> None:
    with pytest.raises(RuntimeError, match="no/such"):
        driver_memory.measure(["status", "/no/such/output"])
