from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipeline.dataset.places import PlaceCount, count_place
from stages.records import Place


def commit(place: Place | None, rows: int, seconds: float, failed: int = 0) -> dict[str, Any]:
    worker = {} if place is None else {"worker": asdict(place)}
    return {
        "rows": rows,
        "seconds": {"denoise": seconds, "between": 1.0},
        "failures": [{}] * failed,
        **worker,
    }


def test_units_are_counted_by_gpu() -> None:
    first, second = (Place("node1", "NVIDIA H100", str(gpu), "550.54", "2.9") for gpu in range(2))
    counts: dict[str, PlaceCount] = {}
    for made in (
        commit(first, 100, 4.0),
        commit(second, 50, 4.0, failed=2),
        commit(first, 100, 4.0),
        commit(None, 9, 1.0),
    ):
        count_place(counts, made)
    assert counts == {
        "node1, GPU 0": PlaceCount("NVIDIA H100", 2, 200, 0, 10.0),
        "node1, GPU 1": PlaceCount("NVIDIA H100", 1, 50, 2, 5.0),
    }
    assert str(counts["node1, GPU 0"]) == "NVIDIA H100, 2 units, 20.0 rows/s a worker, 0 failed pairs"
