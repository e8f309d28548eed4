from __future__ import annotations

import json
from pathlib import Path

import pytest

from conf.schema import ImageFormat
from pipeline.dataset.pack import pack
from stages import write
from stages.storage import store as module
from stages.storage.commits import committed_units, read_commits
from stages.storage.store import Store, StoreError
from tests.stages.storage.flaky_store import Flaky
from tests.stages.unit_results import unit_result

UNITS = 60


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0,) * len(module.PAUSES))


def test_a_flaky_store_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    flaky, firm = Store("flaky://set"), Store(str(tmp_path))
    before = Flaky.failed
    for index in range(UNITS):
        result = unit_result(index, index % 4)
        for store in (flaky, firm):
            files, record = write.encode_part(result, ImageFormat.png), write.summarise(result)
            assert write.write_unit(store, files, record), "nobody else is there to be first"
            assert not write.write_unit(store, files, record), "and no second attempt is"
    assert committed_units(flaky) == set(range(UNITS))
    commits = [list(read_commits(store, range(UNITS))) for store in (flaky, firm)]
    assert [_told(commit) for commit in commits[0]] == [_told(commit) for commit in commits[1]]
    # A shard is a stream, and a stream cannot be tried again: the same command is.
    while True:
        try:
            pack(flaky, commits[0], 7)
            break
        except OSError:
            continue
    pack(firm, commits[1], 7)
    for folder in ("data", "scores"):
        names = firm.list(folder)
        assert names
        assert flaky.list(folder) == names
        assert list(flaky.read_many(names)) == list(firm.read_many(names))
    assert Flaky.failed - before > 50


def test_thousands_of_files_are_created_once_each() -> None:
    store = Store("flaky://many")
    for number in range(2000):
        name, own = f"run/{number:04d}", json.dumps(number).encode()
        assert store.create_exclusive(name, own)
        assert not store.create_exclusive(name, b"another's")
    names = [f"run/{number:04d}" for number in range(2000)]
    assert store.list("run") == names
    assert [json.loads(data) for data in store.read_many(names)] == list(range(2000))


def test_what_fails_for_good_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("flaky://gone")
    calls = []

    def refuse(self: Flaky, path: str, *_: object, **__: object) -> bytes:
        calls.append(path)
        raise ConnectionResetError(f"{path} was cut off")

    monkeypatch.setattr(Flaky, "cat_file", refuse)
    with pytest.raises(ConnectionResetError, match="/gone/a was cut off"):
        store.read("a")
    assert len(calls) == len(module.PAUSES) + 1


def test_a_store_that_overwrites_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("flaky://over")
    store.prove_exclusive()
    overwrite = Flaky.pipe_file
    monkeypatch.setattr(
        Flaky,
        "pipe_file",
        lambda self, path, data, mode="create": overwrite(self, path, data, mode="overwrite"),
    )
    with pytest.raises(StoreError, match="out=flaky://over lets two create one file"):
        store.prove_exclusive()


def _told(commit: dict) -> dict:
    part = {kind: (file["bytes"], file["sha256"]) for kind, file in commit["part"].items()}
    return {**commit, "part": part}
