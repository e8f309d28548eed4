"""Rows into Parquet files of an exact size, a few rows in memory at a time."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from stages.storage.store import Store

GROUP = 100
"""Rows of a row group: what a reader of images loads at once."""


class ParquetShards:
    """``data/SPLIT-00000.parquet`` and so on, each with ``size`` rows but the last; a context manager.

    A file appears, whole, when it is full, the last one when the block is left without an exception.
    """

    def __init__(self, store: Store, split: str, features: Features, size: int) -> None:
        self._store, self._split, self._size = store, split, size
        self._schema = features.arrow_schema
        self._held: list[dict[str, Any]] = []
        self._files = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def __enter__(self) -> ParquetShards:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
        else:
            self._files.__exit__(kind, error, trace)

    def add(self, row: dict[str, Any]) -> None:
        """Raises pyarrow's ArrowInvalid or ArrowTypeError for a row of other types than the features'."""
        self._held.append(row)
        self.rows += 1
        if len(self._held) == GROUP or self.rows % self._size == 0:
            self._flush()
        if self.rows % self._size == 0:
            self._close()

    def _flush(self) -> None:
        if not self._held:
            return
        if self._writer is None:
            number = (self.rows - len(self._held)) // self._size
            stream = self._files.enter_context(
                self._store.open_write(f"data/{self._split}-{number:05d}.parquet")
            )
            self._writer = self._files.enter_context(
                pq.ParquetWriter(pa.PythonFile(stream, "w"), self._schema)
            )
        self._writer.write_table(pa.Table.from_pylist(self._held, self._schema))
        self._held = []

    def _close(self) -> None:
        self._flush()
        self._files.close()
        self._writer = None
