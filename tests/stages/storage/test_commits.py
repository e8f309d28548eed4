from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.schema import ImageFormat
from stages import write
from stages.storage.commits import (
    Commits,
    commit_name,
    committed_units,
    parts_deleted,
    read_commit,
    read_commits,
    read_part,
)
from stages.storage.store import DamageError, Store
from tests.stages.unit_results import unit_result


def commit(store: Store, unit: int, kept: int = 1) -> dict:
    result = unit_result(unit, kept)
    write.write_unit(store, write.encode_part(result, ImageFormat.png), write.summarise(result))
    return read_commit(store, unit)


@given(st.sets(st.integers(0, 10**8 - 1), max_size=5))
def test_committed_units_are_those_with_a_commit(units: set[int]):
    store = Store("memory://committed")
    for name in store.list("run/commits"):
        store.remove(name)
    for unit in units:
        store.create_record(commit_name(unit), {"unit": unit})
    store.write("run/commits/notes.txt", b"of the user")
    assert committed_units(store) == units
    order = sorted(units, reverse=True)
    assert [record["unit"] for record in read_commits(store, order)] == order


def test_commits_are_read_again_without_the_store(tmp_path: Path):
    store = Store(str(tmp_path / "out"))
    expected = [commit(store, unit) for unit in range(3)]
    commits = Commits(store, [2, 0])
    assert len(commits) == 2
    # A reading that ends early keeps nothing.
    assert next(iter(commits)) == expected[2]
    assert list(commits) == [expected[2], expected[0]]
    shutil.rmtree(tmp_path / "out")
    both = iter(commits), iter(commits)
    assert [next(reading)["unit"] for _ in range(2) for reading in both] == [2, 2, 0, 0]


def test_a_missing_or_damaged_commit_is_named(tmp_path: Path):
    store = Store(str(tmp_path))
    commit(store, 0)
    with pytest.raises(FileNotFoundError):
        read_commit(store, 1)
    store.write(commit_name(0), store.read(commit_name(0))[:-9])
    for read in (lambda: read_commit(store, 0), lambda: list(read_commits(store, [0]))):
        with pytest.raises(DamageError, match=commit_name(0)):
            read()


def test_a_part_is_read_by_kind_and_a_lost_one_is_named(tmp_path: Path):
    store = Store(str(tmp_path))
    record = commit(store, 2)
    file = record["part"]["scores"]
    assert read_part(store, record, "scores") == store.read(file["name"])
    assert read_part(store, record, "rejected") is None
    store.remove(file["name"])
    with pytest.raises(DamageError, match=f"{file['name']} of unit 2 is missing: .* makes the unit again"):
        read_part(store, record, "scores")


def test_parts_are_deleted_if_all_are_gone(tmp_path: Path):
    store = Store(str(tmp_path))
    commits = [commit(store, unit) for unit in range(2)]
    assert not parts_deleted(store, commits)
    store.remove(next(iter(commits[0]["part"].values()))["name"])
    assert not parts_deleted(store, commits)
    shutil.rmtree(tmp_path / "run/parts")
    assert parts_deleted(store, commits)
    assert not parts_deleted(store, [])
