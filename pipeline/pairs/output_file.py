"""Writes the file of caption pairs, JSON Lines or Parquet, which ``pairforge`` reads."""

from __future__ import annotations

import json
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
_KINDS = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_INT64 = range(-(2**63), 2**63)


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
    kinds: dict[str, set[pa.DataType]] = {}
    for fields in records:
        for name, value in fields.items():
            if value is not None:
                kinds.setdefault(name, set()).add(_kind(value))
            elif name not in kinds:
                kinds[name] = set()
    others = sorted(name for name in kinds if name not in PAIR_FIELDS)
    columns = [pa.field(name, pa.string(), nullable=False) for name in PAIR_FIELDS]
    return pa.schema([*columns, *(pa.field(_encodable(name), _common(kinds[name])) for name in others)])


def table(answers: Sequence[WrittenPair], schema: pa.Schema) -> pa.Table:
    records = [{_encodable(name): value for name, value in record(answer).items()} for answer in answers]
    columns = [
        pa.array([_convert(fields.get(field.name), field.type) for fields in records], field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _kind(value: Any) -> pa.DataType:
    if type(value) is int and value not in _INT64:
        return pa.null()
    return _KINDS.get(type(value), pa.null())


def _common(kinds: set[pa.DataType]) -> pa.DataType:
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64()
    (kind,) = kinds if len(kinds) == 1 else (pa.null(),)
    return pa.string() if kind == pa.null() else kind


def _convert(value: Any, kind: pa.DataType) -> Any:
    if value is None or kind != pa.string():
        return value
    return _encodable(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    )


def _encodable(text: str) -> str:
    """Replace half surrogate pairs, which Parquet text cannot hold."""
    return text.encode("utf-8", "replace").decode()
