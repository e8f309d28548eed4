"""Writes the file of caption pairs, JSON Lines or Parquet, which ``pairforge`` reads."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.pairs import PairsFile
from pipeline.dataset.pack import HashingStream
from stages.captions.fields import KNOWN
from stages.records import WrittenPair

PAIR_FIELDS = ("input", "edit", "output")
_RESERVED = frozenset(name for names in KNOWN.values() for name in names)
_INT64 = range(-(2**63), 2**63)
_COLUMN_TYPES = {
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
}
"""The type of a column by the types of its values. Every other column is text."""


def record(answer: WrittenPair) -> dict[str, Any]:
    """The record of a caption pair, with the other fields of its caption.

    A field that a reader would take for one of the pair is renamed to ``source_…``.
    """
    meta = json.loads(answer.meta)
    others = {f"source_{name}" if name in _RESERVED else name: value for name, value in meta.items()}
    return {"input": answer.caption, "edit": answer.instruction, "output": answer.edited_caption, **others}


@contextmanager
def open_writer(
    file: PairsFile, stream: HashingStream, answers: Callable[[], Iterator[WrittenPair]]
) -> Iterator[Callable[[Sequence[WrittenPair]], object]]:
    """Yield a function that writes a group of pairs to ``stream``; all ``answers`` define the columns."""
    if file is PairsFile.jsonl:
        yield lambda pairs: stream.write(b"".join(map(line, pairs)))
        return
    schema = schema_of(map(record, answers()))
    with pq.ParquetWriter(pa.PythonFile(stream, "w"), schema, compression="zstd") as writer:
        yield lambda pairs: writer.write_table(table(pairs, schema)) if pairs else None


def line(answer: WrittenPair) -> bytes:
    """The record as a line of JSON."""
    return json.dumps(record(answer), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def schema_of(records: Iterable[Mapping[str, Any]]) -> pa.Schema:
    """The schema of the pair's three columns, then of every other field by name.

    A field that always holds text, a boolean or a number has a column of that type; any other field is JSON text.
    """
    kinds: dict[str, set[type]] = defaultdict(set)
    for fields in records:
        for name, value in fields.items():
            is_large = type(value) is int and value not in _INT64
            kinds[name] |= {str} if is_large else {type(value)} - {type(None)}
    columns = [pa.field(name, pa.string(), nullable=False) for name in PAIR_FIELDS]
    for name in sorted(kinds.keys() - PAIR_FIELDS):
        columns.append(pa.field(_encodable(name), _COLUMN_TYPES.get(frozenset(kinds[name]), pa.string())))
    return pa.schema(columns)


def table(answers: Sequence[WrittenPair], schema: pa.Schema) -> pa.Table:
    """The pairs in the columns of the schema, which is that of their records."""
    texts = {field.name for field in schema if field.type == pa.string()}
    records = [{_encodable(name): value for name, value in record(answer).items()} for answer in answers]
    for fields in records:
        for name in fields.keys() & texts:
            fields[name] = _to_text(fields[name])
    return pa.Table.from_pylist(records, schema=schema)


def _to_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value and _encodable(value)
    return _encodable(json.dumps(value, ensure_ascii=False, sort_keys=True))


def _encodable(text: str) -> str:
    """Replace lone surrogates, which Parquet text cannot hold."""
    return text.encode("utf-8", "replace").decode()
