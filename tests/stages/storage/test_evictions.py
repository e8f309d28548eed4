from __future__ import annotations

from pathlib import Path

from stages.records import Place
from stages.storage.evictions import Eviction, read_evictions, record_eviction
from stages.storage.store import Store


def test_evictions_are_read_as_they_were_recorded(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert read_evictions(store) == []
    sick = Eviction(Place("node3", "NVIDIA H100", "2", "550.54", "2.9"), 3, "CUDA error: ECC", 1000.0)
    lost = Eviction(Place("node4"), 1, "model.path=/m is not there", 2000.0)
    for eviction in (sick, lost):
        record_eviction(store, eviction)
    assert sorted(read_evictions(store), key=lambda eviction: eviction.at) == [sick, lost]
    assert str(sick) == "node3, GPU 2: CUDA error: ECC (3 times)"
    assert str(lost) == "node4: model.path=/m is not there"
