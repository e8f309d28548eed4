"""Pack: the committed units, in plan order, as shards of an exact size. A pure function of the commits."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import operator
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from typing import IO, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from stages.formats import score_table, tar
from stages.storage.checksum import DamageError, seal, unseal
from stages.storage.commits import read_part
from stages.storage.prefetch import ahead
from stages.storage.store import Store

MANIFEST = "run/pack.json"
SCORES_ROWS, SCORES_GROUP = 1_000_000, 65_536
READERS, READ_BYTES, READ_COMMITS = 4, 2**21, 64
HASHED_BEHIND = 4
FLUSH_BYTES = 2**25
Made = TypeVar("Made")


@dataclass(frozen=True)
class Packed:
    """One file of the dataset: ``rows`` samples in a shard, or candidates in a file of scores."""

    name: str
    rows: int
    bytes: int
    sha256: str


def pack(store: Store, commits: Sequence[dict[str, Any]], samples_per_shard: int) -> list[Packed]:
    """Write data/*.tar and scores/*.parquet from the commits of all units, in order; does nothing if they stand.

    Raises PartError if a part is not what was committed.
    """
    digest = digest_of(commits)
    done = _standing(store, digest)
    if done is not None:
        return done
    for folder in ("data", "scores"):
        store.sweep_scratch(folder)
    packed = [*_pack_shards(store, commits, samples_per_shard), *_pack_scores(store, commits)]
    record = {"commits": digest, "files": [asdict(file) for file in packed]}
    store.write(MANIFEST, seal(record).encode())
    return packed


def manifest(store: Store) -> list[Packed]:
    """The files packed last; none before the first time.

    Raises DamageError for a record that is not what was written.
    """
    if not store.exists(MANIFEST):
        return []
    return _files(unseal(store.read(MANIFEST), store.path(MANIFEST)))


def packed_commits(store: Store) -> str:
    """``digest_of`` the commits that were packed last.

    Raises FileNotFoundError before the first time, DamageError as ``manifest``.
    """
    return str(unseal(store.read(MANIFEST), store.path(MANIFEST))["commits"])


def digest_of(commits: Iterable[dict[str, Any]]) -> str:
    """SHA-256 of what the commits say of their parts: the packed files are a function of it."""
    return hashlib.sha256(json.dumps([commit["part"] for commit in commits]).encode()).hexdigest()


def _files(record: dict[str, Any]) -> list[Packed]:
    return [Packed(**file) for file in record["files"]]


def _standing(store: Store, digest: str) -> list[Packed] | None:
    try:
        record = unseal(store.read(MANIFEST), store.path(MANIFEST))
    except (FileNotFoundError, DamageError):
        return None
    files = _files(record)
    there = set(store.list("data")) | set(store.list("scores"))
    whole = all(file.name in there and store.size(file.name) == file.bytes for file in files)
    return files if record["commits"] == digest and whole else None


def _pack_shards(store: Store, commits: Iterable[dict[str, Any]], size: int) -> Iterator[Packed]:
    for number, runs in itertools.groupby(_runs(store, commits, size), operator.itemgetter(0)):
        name, rows = f"data/train-{number:06d}.tar", 0
        with store.open_write(name) as stream, closing(Measured(stream)) as measured:
            for _, samples, run in runs:
                rows += samples
                measured.write_kept(run)
            measured.write_kept(tar.end(measured.bytes))
        yield measured.packed(name, rows)


def _runs(
    store: Store, commits: Iterable[dict[str, Any]], size: int
) -> Iterator[tuple[int, int, memoryview]]:
    """What each shard takes of each part: the shard's number, how many samples, and they as they stand."""
    packed = 0
    for data, ends in _read(store, commits, "samples", lambda data: (data, tar.sample_ends(data))):
        start = 0
        while ends:
            room = size - packed % size
            taken, ends = ends[:room], ends[room:]
            yield packed // size, len(taken), memoryview(data)[start : taken[-1]]
            start = taken[-1]
            packed += len(taken)


def parts(store: Store, commits: Iterable[dict[str, Any]], kind: str) -> Iterator[bytes]:
    """The parts of that kind, in order; the next ones are read, and held to their digests, while one is used."""
    return _read(store, commits, kind, lambda data: data)


def _read(
    store: Store, commits: Iterable[dict[str, Any]], kind: str, look: Callable[[bytes], Made]
) -> Iterator[Made]:
    """What ``look`` makes of each part, where it is read."""

    def read(group: Sequence[dict[str, Any]]) -> list[Made]:
        found = (read_part(store, commit, kind) for commit in group)
        return [look(data) for data in found if data is not None]

    with closing(ahead(read, _groups(commits, kind), READERS, 2 * READERS)) as groups:
        for group in groups:
            yield from group


def _groups(commits: Iterable[dict[str, Any]], kind: str) -> Iterator[list[dict[str, Any]]]:
    """The commits, in order, so many at once that handing them to a thread is little beside what it does."""
    held, size = list[dict[str, Any]](), 0
    for commit in commits:
        held.append(commit)
        size += commit["part"].get(kind, {"bytes": 0})["bytes"]
        if size >= READ_BYTES or len(held) == READ_COMMITS:
            yield held
            held, size = [], 0
    if held:
        yield held


def _pack_scores(store: Store, commits: Iterable[dict[str, Any]]) -> Iterator[Packed]:
    groups = _row_groups(store, commits)
    for number, first in enumerate(groups):
        name, rows = f"scores/candidates-{number:06d}.parquet", 0
        with (
            store.open_write(name) as stream,
            closing(Measured(stream)) as measured,
            pq.ParquetWriter(pa.PythonFile(measured, "w"), first.schema, compression="zstd") as writer,
        ):
            for group in itertools.chain([first], groups):
                writer.write_table(group)
                rows += group.num_rows
                if rows >= SCORES_ROWS:
                    break
        yield measured.packed(name, rows)


def _row_groups(store: Store, commits: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    held: list[pa.Table] = []
    for data in parts(store, commits, "scores"):
        held.append(score_table.from_bytes(data))
        if sum(table.num_rows for table in held) >= SCORES_GROUP:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


class Measured(io.RawIOBase):
    """A writable stream that passes on what it is given, counting and hashing it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._beside, self._behind = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._hashed = deque[Future[None]]()
        self._flushed: Future[None] | None = None
        self._flushed_bytes = 0
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.write_kept(data)
        self._settle(0)
        return len(data)

    def write_kept(self, data: bytes | memoryview) -> None:
        """``write`` of what nobody changes afterwards: it is hashed while the next is read and written."""
        # Hashing takes longer than writing does, and neither needs the interpreter.
        self._settle(HASHED_BEHIND)
        self._hashed.append(self._beside.submit(self._hash.update, data))
        self._stream.write(data)
        self.bytes += len(data)
        # The disk begins while there is more to write, and need not take all of it at the end.
        if self.bytes - self._flushed_bytes >= FLUSH_BYTES and (
            self._flushed is None or self._flushed.done()
        ):
            self._flushed_bytes = self.bytes
            self._flushed = self._behind.submit(_flush, self._stream)

    def packed(self, name: str, rows: int) -> Packed:
        self._settle(0)
        self.close()
        return Packed(name, rows, self.bytes, self._hash.hexdigest())

    def close(self) -> None:
        """Wait for what goes on beside; the stream underneath stays open."""
        self._beside.shutdown()
        self._behind.shutdown()
        super().close()

    def _settle(self, left: int) -> None:
        """Wait until no more than so many pieces are yet to be hashed."""
        while len(self._hashed) > left:
            self._hashed.popleft().result()


def _flush(stream: IO[bytes]) -> None:
    # No file of this machine, or a disk that says at the end what is wrong with it.
    with suppress(OSError):
        os.fdatasync(stream.fileno())
