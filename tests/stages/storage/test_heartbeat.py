from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stages.storage import heartbeat
from stages.storage.store import Store


def test_a_heartbeat_is_repeated_and_ends_as_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heartbeat, "SECONDS_BETWEEN", 0.01)
    store = Store(str(tmp_path))
    with heartbeat.keep_heartbeat(store, lambda: 2.5, lambda: 7.0):
        (first,) = heartbeat.read_heartbeats(store)
        assert (first.state, first.pid, first.rate, first.first_kept) == ("running", os.getpid(), 2.5, 7.0)
        deadline = time.monotonic() + 60
        while heartbeat.read_heartbeats(store)[0].seen == first.seen:
            assert time.monotonic() < deadline
    (last,) = heartbeat.read_heartbeats(store)
    assert (last.state, last.id, last.started) == ("finished", first.id, first.started)
    assert not last.is_alive(last.seen)


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt, "stopped"), (OSError, "failed")])
def test_the_last_heartbeat_says_how_the_driver_ended(tmp_path: Path, error: type[BaseException], state: str):
    store = Store(str(tmp_path))

    def end() -> None:
        with heartbeat.keep_heartbeat(store, float):
            raise error

    with pytest.raises(error):
        end()
    assert [driver.state for driver in heartbeat.read_heartbeats(store)] == [state]


def test_a_driver_is_dead_after_a_minute_of_silence(tmp_path: Path):
    store = Store(str(tmp_path))
    with heartbeat.keep_heartbeat(store, float):
        (driver,) = heartbeat.read_heartbeats(store)
    for silence, alive in ((0.0, True), (59.0, True), (61.0, False)):
        assert driver.is_alive(driver.seen + silence) == alive
    assert not replace(driver, state="stopped").is_alive(driver.seen)


def test_a_note_stays_until_its_unit_is_committed(tmp_path: Path):
    store = Store(str(tmp_path))
    assert heartbeat.read_notes(store) == []
    for unit in (12, 3):
        heartbeat.note_unit(store, unit)
    assert [(note.unit, note.pid) for note in heartbeat.read_notes(store)] == [
        (3, os.getpid()),
        (12, os.getpid()),
    ]
    heartbeat.remove_note(store, 3)
    heartbeat.remove_note(store, 3)
    assert [note.unit for note in heartbeat.read_notes(store)] == [12]


def test_a_note_that_is_removed_after_the_listing_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store(str(tmp_path))
    heartbeat.note_unit(store, 1)
    names = [f"{heartbeat.UNITS_FOLDER}/00000000.json", *store.list(heartbeat.UNITS_FOLDER)]
    monkeypatch.setattr(Store, "list", lambda self, folder: names)
    assert [note.unit for note in heartbeat.read_notes(store)] == [1]
