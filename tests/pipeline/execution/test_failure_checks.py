from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import FailedPairsError
from pipeline.execution.failure_checks import check_failure_rate, check_first_pairs


def summaries(*failed: int, pairs: int = 4, reason: str = "no image") -> Iterator[dict[str, Any]]:
    """Summaries of units of which so many pairs failed."""
    for count in failed:
        yield {"pairs": pairs, "failures": [{"pair_id": "", "reason": reason}] * count}


def summary(pairs: int, *reasons: str) -> dict[str, Any]:
    return {"pairs": pairs, "failures": [{"pair_id": "", "reason": reason} for reason in reasons]}


@pytest.mark.parametrize(
    ("summaries", "ends_after"),
    [
        ([summary(1, "no"), summary(1, "no"), summary(1, "no"), summary(1, "no"), summary(1)], 4),
        ([summary(8, *["no"] * 8), summary(8)], 1),
        ([summary(3, "no", "no", "no"), summary(3, "no", "no", "no")], 2),
        ([summary(4, "no", "no", "no"), summary(4, *["no"] * 4)], None),
        ([summary(2, "no", "other"), summary(2, "no", "no")], None),
        ([summary(2, "no", "no"), summary(2, "no")], None),
    ],
)
def test_first_pairs_that_all_fail_alike_end_the_run(summaries: list[dict[str, Any]], ends_after: int | None):
    passed: list[dict[str, Any]] = []
    ends = (
        contextlib.nullcontext()
        if ends_after is None
        else pytest.raises(FailedPairsError, match="with one error, so the run ends: no: correct")
    )
    with ends:
        for passed_on in check_first_pairs(iter(summaries), 100, "out"):
            passed.append(passed_on)
    assert passed == summaries[:ends_after]


@pytest.mark.parametrize(("failed", "seen"), [([2] * 20, 13), ([0] * 12 + [4] * 20, 16)])
def test_a_run_of_which_too_many_pairs_fail_ends(failed: list[int], seen: int) -> None:
    with pytest.raises(FailedPairsError) as caught:
        list(check_failure_rate(summaries(*failed), 0.2, "OUT"))
    line = str(caught.value)
    assert line.startswith(f"{sum(failed[:seen])} of the first {4 * seen} caption pairs failed")
    assert all(text in line for text in ("no image", "max_failure_rate=0.2", "retry-failed OUT"))


@pytest.mark.parametrize(
    ("failed", "most"), [([4] * 12, 0.2), ([1] * 50, 0.25), ([4] * 50, 1.0), ([0] * 99, 0.0)]
)
def test_a_run_goes_on_below_the_rate_and_before_fifty_pairs(failed: list[int], most: float) -> None:
    assert len(list(check_failure_rate(summaries(*failed), most, "OUT"))) == len(failed)


def test_many_reasons_name_the_most_frequent() -> None:
    units = [
        {"pairs": 1, "failures": [{"pair_id": "", "reason": f"pair {k}" if k % 3 else "disk"}]}
        for k in range(500)
    ]
    with pytest.raises(FailedPairsError, match="with: disk"):
        list(check_failure_rate(iter(units), 0.2, "OUT"))
