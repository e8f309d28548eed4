"""Packs the committed units, in plan order, into shards of an exact size: a pure function of the commits.

The commits alone say which pieces of which parts make up each file, so files are written in any order, by any machine,
and as soon as their units are committed.
"""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import json
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
RECORDS = "run/packed"
"""Folder of the records of the files that are written, one a file: of which pieces, and the result."""
SCORES_RECORDS, SCORES_GROUP = 1_000_000, 65_536
JOINED = 256
"""Tables of units that are joined at a time."""
READERS, WRITERS = 4, 2
"""Parts that are read ahead for a file, and files that are written at a time."""


@dataclass(frozen=True)
class PackedFile:
    """One file of the dataset. ``rows`` counts the samples of a shard or the candidates of a file of scores."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes from ``start`` to ``end`` of a unit's part, and the number of samples or candidates in them.

    ``part`` has the name and the SHA-256 of its file alone: a file of scores has tens of thousands of pieces.
    """

    unit: int
    part: dict[str, str]
    start: int
    end: int
    rows: int


@dataclass(frozen=True)
class FilePlan:
    """A file of the dataset, and the pieces of parts of one ``kind`` (samples or scores) that make it up, in order."""

    name: str
    kind: str
    pieces: tuple[Piece, ...]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of what determines the file's bytes."""
        pieces = [(piece.part["sha256"], piece.start, piece.end) for piece in self.pieces]
        return hashlib.sha256(json.dumps(pieces).encode()).hexdigest()


def pack(store: Store, commits: Iterable[dict[str, Any]], samples_per_shard: int) -> list[PackedFile]:
    """Writes data/*.tar and scores/*.parquet from the commits of all units, in order, which are read twice.

    Files that were written already, from the same pieces, stay. Raises DamageError for a part that differs from its
    commit.
    """
    digest = digest_of(commits)
    record = read_packed(store, digest)
    if record is not None:
        return _files(record)
    for folder in ("data", "scores"):
        store.sweep_scratch(folder)
    plans = plan_files(commits, samples_per_shard)
    with closing(map_in_threads(functools.partial(write_file, store), plans, WRITERS, WRITERS)) as written:
        packed = sorted(written, key=lambda file: file.name)
    store.write_record(MANIFEST, {"commits": digest, "files": [asdict(file) for file in packed]})
    return packed


def manifest(store: Store) -> list[PackedFile]:
    """Returns the files packed last, or none before the first packing. Raises DamageError for a damaged record."""
    return _files(store.read_record(MANIFEST)) if store.exists(MANIFEST) else []


def digest_of(commits: Iterable[dict[str, Any]]) -> str:
    """Returns the SHA-256 of the part records of the commits, which determine the packed files."""
    return next(iter(digests_of(commits, [None])))


def digests_of(commits: Iterable[dict[str, Any]], ends: Sequence[int | None]) -> list[str]:
    """Returns the ``digest_of`` of the first ``end`` commits for each of ``ends``; None is all. Reads them once."""
    digest, found = hashlib.sha256(), dict[int | None, str]()
    for count, commit in enumerate(commits):
        if count in ends:
            found[count] = digest.hexdigest()
        digest.update(json.dumps(commit["part"]).encode())
    found[None] = digest.hexdigest()
    return [found.get(end, found[None]) for end in ends]


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


def plan_files(commits: Iterable[dict[str, Any]], samples_per_shard: int) -> Iterator[FilePlan]:
    """Yields the plan of each shard and each file of scores as soon as the commits hold all of it; at the end the rest.

    The commits are of consecutive units from the first on.
    """
    shard, scores = (
        _Pieces("samples", "data/train-{:06d}.tar"),
        _Pieces("scores", "scores/candidates-{:06d}.parquet"),
    )
    group = 0
    for commit in commits:
        unit, part = commit["unit"], commit["part"]
        files = {kind: {"name": file["name"], "sha256": file["sha256"]} for kind, file in part.items()}
        if "samples" in part:
            start, ends = 0, part["samples"]["ends"]
            while ends:
                room = samples_per_shard - shard.rows
                taken, ends = ends[:room], ends[room:]
                shard.add(Piece(unit, files["samples"], start, taken[-1], len(taken)))
                start = taken[-1]
                if shard.rows == samples_per_shard:
                    yield shard.cut()
        if "scores" in part:
            scores.add(Piece(unit, files["scores"], 0, part["scores"]["bytes"], commit["candidates"]))
            group += commit["candidates"]
            # A file ends with a row group.
            if group >= SCORES_GROUP:
                group = 0
                if scores.rows >= SCORES_RECORDS:
                    yield scores.cut()
    yield from (rest.cut() for rest in (shard, scores) if rest.pieces)


class _Pieces:
    """The pieces of the next file."""

    def __init__(self, kind: str, name: str) -> None:
        self._kind, self._name, self._number = kind, name, 0
        self.pieces: list[Piece] = []
        self.rows = 0

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.rows += piece.rows

    def cut(self) -> FilePlan:
        plan = FilePlan(self._name.format(self._number), self._kind, tuple(self.pieces))
        self._number, self.pieces, self.rows = self._number + 1, [], 0
        return plan


def write_file(store: Store, plan: FilePlan) -> PackedFile:
    """Writes a file of the dataset and its record, unless both are there. Raises DamageError for a damaged part."""
    record = f"{RECORDS}/{plan.name.rpartition('/')[2]}.json"
    try:
        written = store.read_record(record)
        file = PackedFile(**written["file"])
        if written["pieces"] == plan.digest and store.size(file.name) == file.bytes:
            return file
    except (FileNotFoundError, DamageError):
        pass
    with store.open_write(plan.name) as stream:
        hashed = HashingStream(stream)
        (_write_samples if plan.kind == "samples" else _write_scores)(store, plan, hashed)
    file = hashed.packed(plan.name, sum(piece.rows for piece in plan.pieces))
    store.write_record(record, {"pieces": plan.digest, "file": asdict(file)})
    return file


def _write_samples(store: Store, plan: FilePlan, stream: HashingStream) -> None:
    for piece, data in _read_pieces(store, plan):
        stream.write(memoryview(data)[piece.start : piece.end])
    stream.write(tar.closing_blocks(stream.bytes))


def _write_scores(store: Store, plan: FilePlan, stream: HashingStream) -> None:
    groups = _record_groups(store, plan)
    first = next(groups)
    with pq.ParquetWriter(pa.PythonFile(stream, "w"), first.schema, compression="zstd") as writer:
        for group in itertools.chain([first], groups):
            writer.write_table(group)


def _record_groups(store: Store, plan: FilePlan) -> Iterator[pa.Table]:
    small, joined, rows = list[pa.Table](), list[pa.Table](), 0
    for _, data in _read_pieces(store, plan):
        small.append(parquet_tables.from_bytes(data))
        rows += small[-1].num_rows
        is_group = rows >= SCORES_GROUP
        if is_group or len(small) == JOINED:
            joined.append(parquet_tables.join(small))
            small = []
        if is_group:
            yield pa.concat_tables(joined)
            joined, rows = [], 0
    if rows:
        yield pa.concat_tables([*joined, *small])


def _read_pieces(store: Store, plan: FilePlan) -> Iterator[tuple[Piece, bytes]]:
    commits = ({"unit": piece.unit, "part": {plan.kind: piece.part}} for piece in plan.pieces)
    yield from zip(plan.pieces, read_parts(store, commits, plan.kind), strict=True)


def read_parts(store: Store, commits: Iterable[dict[str, Any]], kind: str) -> Iterator[bytes]:
    """Yields the parts of that kind, in order. Threads read and check the next ones meanwhile. Raises DamageError."""

    with closing(
        map_in_threads(lambda commit: read_part(store, commit, kind), commits, READERS, 2 * READERS)
    ) as parts:
        yield from (data for data in parts if data is not None)


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
