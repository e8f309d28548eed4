"""Counts what each machine and GPU made, for ``pairforge status``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stages.records import Place


@dataclass
class PlaceCount:
    """What one GPU, or one machine without GPUs, made. ``seconds`` are its workers' time."""

    device: str
    units: int = 0
    rows: int = 0
    failures: int = 0
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return (
            f"{self.device}, {self.units:,} units, {self.rows_per_second:.1f} rows/s a worker, "
            f"{self.failures:,} failed pairs"
        )


def count_place(counts: dict[str, PlaceCount], commit: Mapping[str, Any]) -> None:
    """Add a commit to the count of the place that made it. Commits that no worker made name no place."""
    if "worker" not in commit:
        return
    place = Place(**commit["worker"])
    count = counts.setdefault(str(place), PlaceCount(place.device))
    count.units += 1
    count.rows += commit["rows"]
    count.failures += len(commit["failures"])
    count.seconds += sum(commit["seconds"].values())
