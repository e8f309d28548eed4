"""Parquet files with an exact number of samples each; holds few samples in memory at a time."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from stages.storage.store import Store

GROUP = 100  # samples in a row group, which a reader loads at once


class ParquetShards:
    """Context manager that writes ``data/SPLIT-00000.parquet`` and so on, each but the last with ``size`` samples.

    A file appears when it is complete; the last one appears when the block ends without an exception.
    """

    def __init__(self, store: Store, split: str, features: Features, size: int) -> None:
        self._store, self._split, self._size = store, split, size
        self._schema = features.arrow_schema
        self._buffer: list[dict[str, Any]] = []
        self._files = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self.count = 0

    def __enter__(self) -> ParquetShards:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
        else:
            self._files.__exit__(kind, error, trace)

    def add(self, record: dict[str, Any]) -> None:
        """Raises ArrowInvalid or ArrowTypeError of pyarrow if the types differ from the features."""
        self._buffer.append(record)
        self.count += 1
        if len(self._buffer) == GROUP or self.count % self._size == 0:
            self._flush()
        if self.count % self._size == 0:
            self._close()

    def _flush(self) -> None:
        if not self._buffer:
            return
        if self._writer is None:
            number = (self.count - len(self._buffer)) // self._size
            stream = self._files.enter_context(
                self._store.open_write(f"data/{self._split}-{number:05d}.parquet")
            )
            self._writer = self._files.enter_context(
                pq.ParquetWriter(pa.PythonFile(stream, "w"), self._schema)
            )
        self._writer.write_table(pa.Table.from_pylist(self._buffer, self._schema))
        self._buffer = []

    def _close(self) -> None:
        self._flush()
        self._files.close()
        self._writer = None
