from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from stages.storage.store import Store
from tests import s3


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3.served() as url:
        yield url


def test_files_are_whole_and_listed_as_they_are_now(bucket: str) -> None:
    store, other = Store(f"{bucket}/whole"), Store(f"{bucket}/whole")
    assert store.list("data") == []
    assert not store.exists("data/a")
    other.write("data/a", b"one")
    assert store.exists("data/a")
    assert (store.size("data/a"), store.read("data/a")) == (3, b"one")
    other.write("data/a", b"three")
    assert store.size("data/a") == 5
    other.write("data/b", b"x" * (6 * 2**20))
    assert store.list("data") == ["data/a", "data/b"]
    assert list(store.read_many(["data/b", "data/a"]))[1] == b"three"
    assert abs(store.times("data")["data/a"] - time.time()) < 60
    store.remove("data/a")
    store.remove("data/a")
    assert store.list("data") == ["data/b"]
    with pytest.raises(FileNotFoundError):
        store.read("data/a")


def test_a_stream_that_is_broken_off_leaves_nothing(bucket: str) -> None:
    store = Store(f"{bucket}/broken")

    def broken_off() -> None:
        with store.open_write("data/x") as stream:
            stream.write(b"abc" * 4_000_000)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert store.list("data") == []
    with store.open_write("data/x") as stream:
        stream.write(b"abc" * 4_000_000)
    assert store.size("data/x") == 12_000_000


@pytest.mark.parametrize("size", [10, 60 * 2**20])
def test_of_many_who_create_one_file_one_did(bucket: str, size: int) -> None:
    """Small, in one request, and large, in parts."""
    won: list[int] = []
    count = 16 if size < 1000 else 2

    def race(number: int) -> None:
        if Store(f"{bucket}/race").create_exclusive(f"run/{size}", bytes([number]) * size):
            won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert Store(f"{bucket}/race").read(f"run/{size}") == bytes(won) * size


def test_what_the_same_writer_did_create_is_its_own(bucket: str) -> None:
    """As where the answer to its first request is lost, and the request is made again."""
    store = Store(f"{bucket}/again")
    assert store.create_exclusive("run/a", b"mine")
    assert store.create_exclusive("run/a", b"mine")
    assert not store.create_exclusive("run/a", b"other")


def test_more_keys_than_one_answer_holds_are_listed(bucket: str) -> None:
    store = Store(f"{bucket}/many")
    # Put into the server itself: 1,050 requests take long.
    server = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for number in range(1050):
        server.put_object(s3.BUCKET, f"many/run/{number:05d}", b"x")
    assert len(store.list("run")) == 1050


def test_it_is_proved_to_be_exclusive(bucket: str) -> None:
    store = Store(f"{bucket}/proved")
    store.prove_exclusive()
    assert store.list("run") == []
