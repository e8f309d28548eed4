"""Ends a run whose caption pairs fail too often: its settings or its input are at fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.errors import FailedPairsError

FIRST_PAIRS = 4
"""Caption pairs that end a run if all of them fail with one error."""
LEAST_PAIRS = 50
"""Caption pairs after which the failure rate counts."""
REASONS = 100
"""Reasons that are counted; a reason may name its pair, so there may be as many as pairs."""


def check_first_pairs(summaries: Iterable[dict[str, Any]], pairs: int, out: str) -> Iterator[dict[str, Any]]:
    """Pass the summaries on. Raise FailedPairsError if the first pairs all fail with one error, as all would."""
    seen, reasons, same = 0, set[str](), True
    for summary in summaries:
        yield summary
        if not same:
            continue
        seen += summary["pairs"]
        reasons |= {failure["reason"] for failure in summary["failures"]}
        same = len(summary["failures"]) == summary["pairs"] and len(reasons) == 1
        if same and seen >= min(FIRST_PAIRS, pairs):
            raise FailedPairsError(
                f"the first {seen} caption pairs all failed with one error, so the run ends: {reasons.pop()}: "
                f"correct the setting that it names and give another out=…, or pairforge retry-failed {out} after "
                "another fix"
            )


def check_failure_rate(
    summaries: Iterable[dict[str, Any]], most: float, out: str
) -> Iterator[dict[str, Any]]:
    """Pass the summaries on. Raise FailedPairsError if a larger share than ``most`` of the pairs failed.

    Counts the pairs of this command, and from ``LEAST_PAIRS`` of them on.
    """
    seen, failed, reasons = 0, 0, Counter[str]()
    for summary in summaries:
        yield summary
        seen += summary["pairs"]
        failed += len(summary["failures"])
        for failure in summary["failures"]:
            if len(reasons) < REASONS or failure["reason"] in reasons:
                reasons[failure["reason"]] += 1
        if seen >= LEAST_PAIRS and failed > most * seen:
            (reason, count), *_ = reasons.most_common(1)
            raise FailedPairsError(
                f"{failed} of the first {seen} caption pairs failed, more than max_failure_rate={most:g} allows, "
                f"{count} of them with: {reason}: correct the cause, then the same command goes on and pairforge "
                f"retry-failed {out} tries the failed pairs again; max_failure_rate=1 lets any number fail"
            )
