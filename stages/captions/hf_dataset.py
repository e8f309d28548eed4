"""Streams a dataset that `datasets.load_dataset` opens: a folder or a name on the hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conf.messages import error_line
from stages.captions.fields import check_columns
from stages.captions.parquet_file import image_value, text_columns
from stages.captions.source import CaptionsError, CaptionSource, SourceRecord, until_broken


def open_dataset(source: CaptionSource) -> Iterator[SourceRecord]:
    """Yields the examples of one split as records, counted from 1. Of columns of bytes there is the image's only.

    Raises:
        CaptionsError: `datasets` cannot open it, it has several splits and none is named, or it lacks a column that is
            needed.
    """
    dataset = _load(source)
    if dataset.features:
        schema = dataset.features.arrow_schema
        check_columns(source.path, schema.names, source)
        dataset = dataset.select_columns(text_columns(schema, source))
        dataset = _undecoded(dataset, source.image_field)
    return until_broken(_records(dataset, source), source.path, (Exception,))


def _records(dataset: Any, source: CaptionSource) -> Iterator[SourceRecord]:
    for number, example in enumerate(dataset, 1):
        fields = dict(example)
        if source.image_field in fields:
            # The file that the bytes came from may be in an archive or on the hub.
            fields[source.image_field] = image_value(fields[source.image_field], "")
        yield SourceRecord(source.path, number, fields)


def _undecoded(dataset: Any, column: str) -> Any:
    """Returns the dataset with the files of the images in place of decoded ones."""
    import datasets

    is_image = isinstance(dataset.features.get(column), datasets.Image)
    return dataset.cast_column(column, datasets.Image(decode=False)) if is_image else dataset


def _load(source: CaptionSource) -> Any:
    # Imported here: the library takes a second to load.
    import datasets

    try:
        dataset = datasets.load_dataset(source.path, split=source.split, streaming=True)
        if isinstance(dataset, dict) and len(dataset) == 1:
            dataset = next(iter(dataset.values()))
        if not isinstance(dataset, dict):
            # The columns of JSON Lines and CSV are known after the first examples.
            return dataset if dataset.features else dataset._resolve_features()
    except Exception as error:
        raise CaptionsError(f"{source.path} cannot be opened as a dataset: {error_line(error)}") from error
    raise CaptionsError(f"{source.path} has the splits {', '.join(dataset)}: choose one by captions.split=…")
