"""Reads Parquet: a file, a folder of files, or a glob."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.messages import error_line
from stages.captions.fields import CAPTION, KNOWN, check_columns
from stages.captions.source import (
    CaptionsError,
    CaptionSource,
    ImagePart,
    SourceRecord,
    list_files,
    suggest_sibling,
    until_broken,
)
from stages.images.place import cell_bytes, relative_place

_BATCH = 1024
_IMAGES = 16
"""Records of a batch with images, which are large."""
_ERRORS = (pa.ArrowException, OSError, ValueError)


def open_parquet(source: CaptionSource) -> Iterator[SourceRecord]:
    """Yields the records of all files, by file name, counted from 1 in each file.

    Of columns of bytes there is the image's only.

    Raises:
        CaptionsError: there is no such file, or a file is not Parquet or lacks a column that is needed.
    """
    files = parquet_files(source.path)
    if not files:
        raise CaptionsError(f"{source.path}: no Parquet file there{suggest_sibling(source.path)}")
    columns = {}
    for file in files:
        schema = _schema(file)
        check_columns(str(file), schema.names, source)
        columns[file] = text_columns(schema, source)
    return chain.from_iterable(
        until_broken(_read(file, names, source), str(file), _ERRORS) for file, names in columns.items()
    )


def parquet_files(path: str) -> list[Path]:
    """Lists the Parquet files of a path: the file itself, those in a folder, or the matches of a glob."""
    return list_files(path, "*.parquet")


def text_columns(schema: pa.Schema, source: CaptionSource) -> list[str]:
    """Lists the columns to read: the captions', the image's and all that hold no bytes."""
    captions = {*(source.fields or {}).values(), *chain.from_iterable(KNOWN.values()), *CAPTION["input"]}
    captions.add(source.image_field)
    return [field.name for field in schema if field.name in captions or not _holds_bytes(field.type)]


def _holds_bytes(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_bytes(kind.storage_type)
    if pa.types.is_nested(kind):
        return any(_holds_bytes(kind.field(index).type) for index in range(kind.num_fields))
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except _ERRORS as error:
        raise CaptionsError(f"{file} is not Parquet: {error_line(error)}") from error


def _read(file: Path, names: list[str], source: CaptionSource) -> Iterator[SourceRecord]:
    number, image = 0, source.image_field if source.image_field in names else ""
    place = relative_place(file, source.images)
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=_IMAGES if image else _BATCH, columns=names):
            columns = [_values(column) for column in batch.columns]
            for values in zip(*columns, strict=True):
                number += 1
                fields = dict(zip(batch.schema.names, values, strict=True))
                if image:
                    fields[image] = image_value(fields[image], f"{place}#{number - 1}/{image}")
                yield SourceRecord(str(file), number, fields)


def image_value(value: Any, place: str) -> Any:
    """Returns the image of a cell: its bytes with their place, or the path to it; anything else as it is."""
    data = cell_bytes(value)
    if data is not None:
        return ImagePart(data, place)
    return value["path"] if isinstance(value, dict) and "path" in value else value


def _values(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        # Arrow does not check its strings: text that is not UTF-8 stays bytes.
        return scalar.as_buffer().to_pybytes() if hasattr(scalar, "as_buffer") else b""
