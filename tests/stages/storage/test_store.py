from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stages.storage.store
from stages.storage.store import DamageError, Store, StoreError, map_in_threads, seal, unseal


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


ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from stages.storage.store import DamageError, Store, StoreError, map_in_threads, seal, unseal
with Store(sys.argv[1]).open_write("data/a") as stream:
    stream.write(b"half")
    stream.flush()
    print("here", flush=True)
    sys.stdin.read()
"""


def start_writer(folder: Path) -> subprocess.Popen[bytes]:
    """A process in the middle of writing data/a."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    return process


def test_files_of_a_living_writer_stay_others_are_removed(tmp_path: Path):
    living, killed = start_writer(tmp_path), start_writer(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(os.listdir(tmp_path / "data")) == 2
    Store(str(tmp_path)).sweep_scratch("data")
    assert len(os.listdir(tmp_path / "data")) == 1
    living.communicate(b"", timeout=60)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "data").iterdir()] == [("a", b"half")]


def test_a_file_that_was_swept_before_it_was_held_is_told(tmp_path: Path):
    path = tmp_path / "data" / ".scratch.tmp"
    path.parent.mkdir()
    with path.open("xb") as stream:
        Store(str(tmp_path)).sweep_scratch("data")
        assert not stages.storage.store._lock(stream, path)
    with path.open("xb") as stream:
        assert stages.storage.store._lock(stream, path)
        Store(str(tmp_path)).sweep_scratch("data")
        assert path.exists()


RECORDS = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name != "sha256"),
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.text(), max_size=3),
    max_size=4,
)


@given(RECORDS)
def test_what_is_sealed_is_read(record: dict):
    assert unseal(seal(record), "x") == record


@given(RECORDS, st.data())
def test_what_is_cut_off_is_told(record: dict, data: st.DataObject):
    text = seal(record)
    with pytest.raises(DamageError, match="here"):
        unseal(text[: data.draw(st.integers(0, len(text) - 1))], "here")


def test_what_is_edited_by_hand_is_told():
    edited = {**json.loads(seal({"samples": 3})), "samples": 4}
    for text in (json.dumps(edited), json.dumps({"samples": 3}), "[]", "3", b"\xff"):
        with pytest.raises(DamageError, match="commits/1"):
            unseal(text, "commits/1")


@given(st.integers(0, 30), st.integers(1, 4), st.integers(1, 8))
def test_results_come_in_the_order_of_the_items(count: int, threads: int, held: int) -> None:
    assert list(map_in_threads(lambda n: n * n, range(count), threads, held)) == [n * n for n in range(count)]


def test_no_more_is_held_than_asked_for() -> None:
    taken: list[int] = []
    results = map_in_threads(lambda n: n, (taken.append(n) or n for n in range(100)), 2, 5)
    assert next(results) == 0
    assert taken == [0, 1, 2, 3, 4]
    results.close()


def test_items_are_worked_on_beside_one_another() -> None:
    """Each waits for the other: one after the other they would wait for good."""
    both = threading.Barrier(2, timeout=60)
    assert len(list(map_in_threads(lambda _: both.wait(), range(2), 2, 2))) == 2


def test_an_error_is_raised_in_its_place_and_ends_it() -> None:
    def act(number: int) -> int:
        if number == 2:
            raise OSError("full")
        return number

    results = map_in_threads(act, range(100), 2, 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="full"):
        next(results)


def test_a_checked_file_that_is_missing_or_damaged_is_named(store: Store):
    digest = hashlib.sha256(b"one").hexdigest()
    with pytest.raises(DamageError, match="run/x is missing: pairforge repair"):
        store.read_checked("run/x", digest)
    store.write("run/x", b"one")
    assert store.read_checked("run/x", digest) == b"one"
    store.write("run/x", b"two")
    with pytest.raises(DamageError, match=r"run/x is damaged: pairforge repair .* packs it"):
        store.read_checked("run/x", digest, fix="packs it")


def test_a_record_is_created_once_and_replaced_by_writing(store: Store):
    assert store.create_record("run/x", {"unit": 1})
    assert not store.create_record("run/x", {"unit": 2})
    assert store.read_record("run/x") == {"unit": 1}
    store.write_record("run/x", {"unit": 3})
    assert store.read_record("run/x") == {"unit": 3}
