"""Parquet as bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def written(rows: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def read(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a Parquet file, or only the given columns of it.

    One thread reads: pyarrow's threads, and its ``read_table``, may abort a process that ends soon afterwards.
    """
    return pq.ParquetFile(pa.BufferReader(data)).read(columns, use_threads=False)
