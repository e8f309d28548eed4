"""Packs the committed units, in plan order, into shards of an exact size: a pure function of the commits."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.formats import parquet_tables, tar
from stages.storage.commits import read_part
from stages.storage.store import DamageError, Store, map_in_threads

MANIFEST = "run/pack.json"
SCORES_RECORDS, SCORES_GROUP = 1_000_000, 65_536
READERS = 4


@dataclass(frozen=True)
class PackedFile:
    """One file of the dataset. ``rows`` counts the samples of a shard or the candidates of a file of scores."""

    name: str
    rows: int
    bytes: int
    sha256: str


def pack(store: Store, commits: Sequence[dict[str, Any]], samples_per_shard: int) -> list[PackedFile]:
    """Writes data/*.tar and scores/*.parquet from the commits of all units, in order.

    Does nothing if these files exist already. Raises DamageError for a part that differs from its commit.
    """
    digest = digest_of(commits)
    record = read_packed(store, digest)
    if record is not None:
        return _files(record)
    for folder in ("data", "scores"):
        store.sweep_scratch(folder)
    packed = [*_pack_shards(store, commits, samples_per_shard), *_pack_scores(store, commits)]
    store.write_record(MANIFEST, {"commits": digest, "files": [asdict(file) for file in packed]})
    return packed


def manifest(store: Store) -> list[PackedFile]:
    """Returns the files packed last, or none before the first packing. Raises DamageError for a damaged record."""
    return _files(store.read_record(MANIFEST)) if store.exists(MANIFEST) else []


def digest_of(commits: Iterable[dict[str, Any]]) -> str:
    """Returns the SHA-256 of the part records of the commits, which determine the packed files."""
    return hashlib.sha256(json.dumps([commit["part"] for commit in commits]).encode()).hexdigest()


def read_packed(store: Store, digest: str) -> dict[str, Any] | None:
    """Returns the record of packing if it is of the commits with this digest and its files have their full size."""
    try:
        record = store.read_record(MANIFEST)
        complete = all(store.size(file.name) == file.bytes for file in _files(record))
    except (FileNotFoundError, DamageError):
        return None
    return record if complete and record["commits"] == digest else None


def _files(record: dict[str, Any]) -> list[PackedFile]:
    return [PackedFile(**file) for file in record["files"]]


def _pack_shards(store: Store, commits: Sequence[dict[str, Any]], size: int) -> Iterator[PackedFile]:
    for number, slices in itertools.groupby(_slices(store, commits, size), operator.itemgetter(0)):
        name, samples = f"data/train-{number:06d}.tar", 0
        with store.open_write(name) as stream:
            hashed = HashingStream(stream)
            for _, count, data in slices:
                samples += count
                hashed.write(data)
            hashed.write(tar.closing_blocks(hashed.bytes))
        yield hashed.packed(name, samples)


def _slices(
    store: Store, commits: Sequence[dict[str, Any]], size: int
) -> Iterator[tuple[int, int, memoryview]]:
    """Yields the pieces of parts that make up the shards: shard number, number of samples, bytes."""
    packed = 0
    with_samples = [commit for commit in commits if "samples" in commit["part"]]
    parts = read_parts(store, with_samples, "samples")
    for commit, data in zip(with_samples, parts, strict=True):
        start, ends = 0, commit["part"]["samples"]["ends"]
        while ends:
            room = size - packed % size
            taken, ends = ends[:room], ends[room:]
            yield packed // size, len(taken), memoryview(data)[start : taken[-1]]
            start = taken[-1]
            packed += len(taken)


def read_parts(store: Store, commits: Iterable[dict[str, Any]], kind: str) -> Iterator[bytes]:
    """Yields the parts of that kind, in order. Threads read and check the next ones meanwhile. Raises DamageError."""

    with closing(
        map_in_threads(lambda commit: read_part(store, commit, kind), commits, READERS, 2 * READERS)
    ) as parts:
        yield from (data for data in parts if data is not None)


def _pack_scores(store: Store, commits: Iterable[dict[str, Any]]) -> Iterator[PackedFile]:
    groups = _record_groups(store, commits)
    for number, first in enumerate(groups):
        name, records = f"scores/candidates-{number:06d}.parquet", 0
        with store.open_write(name) as stream:
            hashed = HashingStream(stream)
            with pq.ParquetWriter(pa.PythonFile(hashed, "w"), first.schema, compression="zstd") as writer:
                for group in itertools.chain([first], groups):
                    writer.write_table(group)
                    records += group.num_rows
                    if records >= SCORES_RECORDS:
                        break
        yield hashed.packed(name, records)


def _record_groups(store: Store, commits: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    tables: list[pa.Table] = []
    for data in read_parts(store, commits, "scores"):
        tables.append(parquet_tables.from_bytes(data))
        if sum(table.num_rows for table in tables) >= SCORES_GROUP:
            yield pa.concat_tables(tables)
            tables = []
    if tables:
        yield pa.concat_tables(tables)


class HashingStream(io.RawIOBase):
    """A writable stream that counts and hashes the bytes it passes on. Closing it leaves the inner stream open."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self._stream.write(data)
        self.bytes += len(data)
        return len(data)

    def packed(self, name: str, records: int) -> PackedFile:
        """Returns the record of the file, once everything is written."""
        return PackedFile(name, records, self.bytes, self._hash.hexdigest())
