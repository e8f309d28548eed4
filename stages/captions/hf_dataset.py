"""Whatever `datasets.load_dataset` opens: a folder or a name on the hub, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conf.messages import error_line
from stages.captions.fields import check_columns, roles
from stages.captions.parquet_file import columns_of_text
from stages.captions.source import CaptionsError, CaptionSource
from stages.captions.source_record import Row, until_broken


def open_dataset(source: CaptionSource) -> Iterator[Row]:
    """The examples of one split as rows, counted from 1. Images and other bytes are left out.

    Raises:
        CaptionsError: `datasets` cannot open it, it has several splits and none is named, or it lacks the
            columns that are needed.
    """
    dataset = _load(source)
    if dataset.features:
        schema = dataset.features.arrow_schema
        check_columns(source.path, schema.names, source.fields or {}, roles(source.alone))
        dataset = dataset.select_columns(columns_of_text(schema, source.fields or {}))
    rows = (Row(source.path, number, dict(example)) for number, example in enumerate(dataset, 1))
    return until_broken(rows, source.path, (Exception,))


def _load(source: CaptionSource) -> Any:
    # Loading the library takes a second, which other kinds need not wait for.
    import datasets

    try:
        dataset = datasets.load_dataset(source.path, split=source.split, streaming=True)
        if isinstance(dataset, dict) and len(dataset) == 1:
            dataset = next(iter(dataset.values()))
        if not isinstance(dataset, dict):
            # Formats without a schema (JSON Lines, CSV) have one after a look at their first examples.
            return dataset if dataset.features else dataset._resolve_features()
    except Exception as error:
        raise CaptionsError(f"{source.path} cannot be opened as a dataset: {error_line(error)}") from error
    raise CaptionsError(f"{source.path} has the splits {', '.join(dataset)}: choose one by captions.split=…")
