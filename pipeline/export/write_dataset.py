"""Writes the samples of a finished run as Parquet that ``datasets`` and its trainers read, and uploads them."""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image

from conf.config_errors import ConfigError
from conf.messages import error_line, typed_error_line
from conf.schema import Config
from pipeline.config import saved
from pipeline.dataset import split
from pipeline.dataset.card import card
from pipeline.dataset.contact_sheet import SHEET
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import PackedFile, manifest
from pipeline.export.export_settings import Export
from pipeline.planning.plan import Plan, load
from stages.formats import tar
from stages.storage.commits import read_commits
from stages.storage.ownership import Holding, claim
from stages.storage.store import Store

GROUP = 100
"""Samples of a row group, which a reader loads at once."""
IMAGES = ("input_image", "edited_image")


def write_dataset(store: Store, target: Store, settings: Export) -> dict[str, int]:
    """Write data/*.parquet, the contact sheet and, last, README.md. Returns the number of samples of each split.

    A split without samples is left out. No more than a row group of each split is in memory. Raises ConfigError.
    """
    plan, config = load(store), saved.read_image_config(store)
    shards = [file for file in manifest(store) if file.name.startswith("data/")]
    if not shards:
        raise ConfigError(f"{store.url} has no shards: finish its run, with thresholds that keep samples")
    with claim(target, "to", Holding.export, resumable=False):
        return _write(store, plan, config, shards, target, settings)


def _write(
    store: Store, plan: Plan, config: Config, shards: list[PackedFile], target: Store, settings: Export
) -> dict[str, int]:
    samples = _read_samples(store, shards)
    first = next(samples)
    schema = _infer_schema(first)
    with ExitStack() as files:
        writers = {
            name: files.enter_context(_SplitWriter(target, name, schema, settings.rows))
            for name in split.SPLITS[: len(settings.split)]
        }
        for sample in chain([first], samples):
            try:
                writers[split.choose_split(sample["input_prompt"], settings.split)].add(sample)
            except pa.ArrowException as error:
                raise ConfigError(f"{store.url}: sample {sample['key']}: {error_line(error)}") from error
        for writer in writers.values():
            writer.finish_file()
    counts = {name: writer.count for name, writer in writers.items() if writer.count}
    funnel = funnel_of(plan, read_commits(store, range(plan.units)))
    pictured = store.exists(SHEET)
    if pictured:
        target.write(SHEET, store.read(SHEET))
    target.write(
        "README.md",
        card(
            config, funnel, pictured, duplicates=plan.duplicates, splits=counts, images=plan.images
        ).encode(),
    )
    return counts


def push(target: Store, name: str) -> None:
    """Upload the folder to the dataset ``name`` on the hub. Raises ConfigError."""
    # Imported here: it takes a second, and few exports are uploaded.
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        # The folder as it is. push_to_hub of datasets would encode the images again and leave out card and sheet.
        HfApi().create_repo(name, repo_type="dataset", exist_ok=True)
        HfApi().upload_folder(repo_id=name, repo_type="dataset", folder_path=target.url)
    except (OSError, ValueError, HTTPError) as error:
        raise ConfigError(
            f"push_to_hub={name}: {error_line(error)} The export is in {target.url}: upload it later with hf upload"
        ) from error


class _SplitWriter(ExitStack):
    """Writes data/SPLIT-00000.parquet and so on, each but the last with ``size`` samples.

    A file appears when it is finished. The open file is dropped if the block ends with an exception.
    """

    def __init__(self, store: Store, split: str, schema: pa.Schema, size: int) -> None:
        super().__init__()
        self._store, self._split, self._schema, self._size = store, split, schema, size
        self._group: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None
        self.count = 0

    def add(self, sample: dict[str, Any]) -> None:
        """Raises ArrowInvalid or ArrowTypeError of pyarrow if a type differs from the schema."""
        self._group.append(sample)
        self.count += 1
        if self.count % self._size == 0:
            self.finish_file()
        elif len(self._group) == GROUP:
            self._write_group()

    def finish_file(self) -> None:
        """Close the open file, if there is one, with all samples added so far."""
        if self._group:
            self._write_group()
        self.close()
        self._writer = None

    def _write_group(self) -> None:
        if self._writer is None:
            name = f"data/{self._split}-{(self.count - 1) // self._size:05d}.parquet"
            stream = self.enter_context(self._store.open_write(name))
            self._writer = self.enter_context(pq.ParquetWriter(pa.PythonFile(stream, "w"), self._schema))
        self._writer.write_table(pa.Table.from_pylist(self._group, self._schema))
        self._group = []


def _read_samples(store: Store, shards: list[PackedFile]) -> Iterator[dict[str, Any]]:
    """Yield the samples of the shards in order, as flat records. Raises ConfigError for a damaged shard or sample."""
    for shard in shards:
        count = 0
        try:
            with store.open_read(shard.name) as stream:
                for key, files in tar.read_samples(stream):
                    count += 1
                    yield _make_record(key, files)
            reason = f"it holds {count:,} of its {shard.rows:,} samples" if count != shard.rows else ""
        except (tarfile.TarError, OSError, KeyError, ValueError) as error:
            reason = typed_error_line(error)
        if reason:
            raise ConfigError(
                f"{store.path(shard.name)}: {reason}: pairforge repair {store.url} makes it again"
            )


def _make_record(key: str, files: tar.Files) -> dict[str, Any]:
    """``input_image``, ``edit_prompt``, ``edited_image``, ``key``, then the other fields of the sample's JSON."""
    images = {
        name.partition(".")[0]: {"bytes": data, "path": f"{key}.{name}"}
        for name, data in files.items()
        if name.startswith(IMAGES)
    }
    record = {
        "input_image": images["input_image"],
        "edit_prompt": files["edit_prompt.txt"].decode(),
        "edited_image": images["edited_image"],
        "key": key,
    }
    return record | json.loads(files["json"])


def _infer_schema(record: dict[str, Any]) -> pa.Schema:
    """The types of the columns, from one record: a field of the JSON has the same type in every sample."""
    inferred = Features.from_arrow_schema(pa.Table.from_pylist([record]).schema)
    return Features({**inferred, **{name: Image() for name in IMAGES}}).arrow_schema
