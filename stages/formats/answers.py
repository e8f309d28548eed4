"""Stores the answers of a writer, kept or not, as Parquet in one fixed schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa

from stages.formats import parquet
from stages.records import WrittenPair

SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("pair_id", pa.string()),
            ("sample_index", pa.int32()),
            ("seed", pa.int64()),
            ("caption", pa.string()),
            ("instruction", pa.string()),
            ("edited_caption", pa.string()),
            ("kept", pa.bool_()),
            ("reason", pa.string()),
            ("text", pa.string()),
            ("meta", pa.string()),
        )
    ]
)


def table(answers: Sequence[WrittenPair]) -> pa.Table:
    return pa.Table.from_pylist([asdict(answer) for answer in answers], schema=SCHEMA)


def to_bytes(answers: Sequence[WrittenPair]) -> bytes:
    return parquet.written(table(answers))


def from_bytes(data: bytes) -> Iterator[WrittenPair]:
    """Yields the answers of a part or a packed file in order."""
    for record in parquet.read(data).to_pylist():
        yield WrittenPair(**record)
