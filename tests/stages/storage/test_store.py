from __future__ import annotations

import errno
import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

import stages.storage.store
from stages.storage.checksum import DamageError, seal, unseal
from stages.storage.store import Store, StoreError


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "a folder") if request.param == "local" else f"memory://{uuid.uuid4().hex}/a")


def test_what_is_written_is_read(store: Store):
    store.write("run/parts/x.tar", b"one")
    store.write("run/parts/x.tar", b"three")
    assert (store.read("run/parts/x.tar"), store.size("run/parts/x.tar")) == (b"three", 5)
    assert store.exists("run/parts/x.tar")
    assert not store.exists("run/parts/y.tar")


def test_a_large_file_is_read_piece_by_piece(store: Store):
    store.write("data/x.tar", b"three")
    with store.open_read("data/x.tar") as stream:
        assert (stream.read(2), stream.read(), stream.read()) == (b"th", b"ree", b"")
    with pytest.raises(FileNotFoundError):
        store.open_read("data/y.tar")


def test_list_gives_sorted_full_names_or_nothing(store: Store):
    for name in ("b", "a", "c"):
        store.write(f"folder/{name}", b"")
    assert store.list("folder") == ["folder/a", "folder/b", "folder/c"]
    assert store.list("nowhere") == []


def test_the_first_to_create_wins(store: Store):
    assert store.create_exclusive("commits/1.json", b"first")
    assert not store.create_exclusive("commits/1.json", b"second")
    assert store.read("commits/1.json") == b"first"


def test_of_many_at_once_exactly_one_wins(tmp_path: Path):
    store, won, gate = Store(str(tmp_path)), [], threading.Barrier(16)

    def attempt(number: int) -> None:
        gate.wait()
        if store.create_exclusive("commit", b"%d" % number * 10_000):
            won.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("commit") == b"%d" % won[0] * 10_000
    assert os.listdir(tmp_path) == ["commit"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    store = Store(str(tmp_path))
    store.write("data/a.tar", b"old")

    def interrupted() -> None:
        with store.open_write("data/a.tar") as stream:
            stream.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.read("data/a.tar") == b"old"
    assert os.listdir(tmp_path / "data") == ["a.tar"]


def test_what_a_killed_writer_leaves_is_neither_listed_nor_kept(tmp_path: Path):
    store = Store(str(tmp_path))
    store.write("data/a.tar", b"")
    (tmp_path / "data" / ".b.tar.0123.tmp").write_bytes(b"half")
    assert store.list("data") == ["data/a.tar"]
    store.sweep_scratch("data")
    assert os.listdir(tmp_path / "data") == ["a.tar"]


def test_remove_is_content_with_nothing(store: Store):
    store.write("a", b"")
    store.remove("a")
    store.remove("a")
    assert not store.exists("a")


def test_a_url_that_nothing_serves_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for url in ("nosuch://bucket/x", str(tmp_path / "file")):
        with pytest.raises(StoreError, match="out="):
            Store(url)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_permissions_are_those_that_the_umask_leaves(tmp_path: Path, umask: int):
    store, before = Store(str(tmp_path / "out")), os.umask(umask)
    try:
        store.write("data/written", b"a")
        assert store.create_exclusive("run/deep/created", b"a")
        with store.open_write("streamed") as stream:
            stream.write(b"a")
        store.write("data/written", b"another")
    finally:
        os.umask(before)
    made = list((tmp_path / "out").rglob("*"))
    files = {path.name: path.stat().st_mode & 0o777 for path in made if path.is_file()}
    folders = {path.name: path.stat().st_mode & 0o777 for path in made if path.is_dir()}
    assert files == dict.fromkeys(["written", "created", "streamed"], 0o666 & ~umask)
    assert folders == dict.fromkeys(["data", "run", "deep"], 0o777 & ~umask)


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system of a memory card, or of some network's."""

    def link(*paths: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), str(paths[1]))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("without_links")
def test_without_links_one_of_many_wins_as_well(tmp_path: Path):
    store = Store(str(tmp_path))
    store.prove_exclusive()
    with ThreadPoolExecutor(8) as pool:
        contents = [b"%d" % number * 10_000 for number in range(32)]
        made = list(pool.map(lambda data: store.create_exclusive("run/commit", data), contents))
    assert sum(made) == 1
    assert store.read("run/commit") == contents[made.index(True)]
    assert os.listdir(tmp_path / "run") == ["commit"]


@pytest.mark.usefixtures("without_links")
def test_without_links_a_kill_leaves_a_file_its_checksum_reveals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store, record = Store(str(tmp_path)), seal({"unit": 7}).encode()

    def killed(stream: IO[bytes]) -> None:
        if not Path(stream.name).name.startswith("."):
            stream.flush()
            os.ftruncate(stream.fileno(), len(record) // 2)
            raise KeyboardInterrupt
        flush(stream)

    flush = stages.storage.store._flush
    with monkeypatch.context() as patch:
        patch.setattr(stages.storage.store, "_flush", killed)
        with pytest.raises(KeyboardInterrupt):
            store.create_exclusive("run/commit", record)
    assert os.listdir(tmp_path / "run") == ["commit"]
    assert not store.create_exclusive("run/commit", record)
    with pytest.raises(DamageError, match="run/commit is not what was written"):
        unseal(store.read("run/commit"), "run/commit")
    store.remove("run/commit")
    assert store.create_exclusive("run/commit", record)
    assert unseal(store.read("run/commit"), "run/commit") == {"unit": 7}


class Disk:
    """What of a folder would be there after a power cut: names that were in their folder when it was flushed."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.durable, self.real = root, {root}, os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        self.real(descriptor)
        place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if place.is_dir():
            self.durable |= set(place.iterdir())

    def holds(self, name: str) -> bool:
        place = self.root / name
        return {place, *(above for above in place.parents if above.is_relative_to(self.root))} <= self.durable


linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux to tell what is flushed")


@linux
def test_a_file_that_was_written_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    disk = Disk(tmp_path, monkeypatch)
    store = Store(str(tmp_path / "out"))
    store.write("run/parts/x.tar", b"one")
    assert disk.holds("out/run/parts/x.tar")
    assert store.create_exclusive("run/commits/x.json", b"{}")
    assert disk.holds("out/run/commits/x.json")
    (tmp_path / "out/run/commits/y.json").write_bytes(b"by another")
    assert not disk.holds("out/run/commits/y.json")


@linux
def test_a_file_system_that_flushes_no_folders_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_dir():
            raise OSError(errno.EINVAL, "not here")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store = Store(str(tmp_path / "out"))
    store.write("run/x", b"one")
    assert store.create_exclusive("run/y", b"two")
    assert (store.read("run/x"), store.read("run/y")) == (b"one", b"two")


def test_a_folder_may_be_writable_but_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unreadable(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "not for you", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", unreadable)
        store = Store(str(tmp_path / "out"))
        store.write("run/x", b"one")
        assert store.create_exclusive("run/y", b"two")
    assert (store.read("run/x"), store.read("run/y")) == (b"one", b"two")
