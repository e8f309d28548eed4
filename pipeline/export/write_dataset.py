"""Writes a finished run as Parquet that ``datasets`` and its trainers read, and uploads it."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import chain

from pyarrow import ArrowException

from conf.compose import ConfigError
from conf.messages import error_line
from pipeline.config import saved
from pipeline.dataset import split
from pipeline.dataset.card import card
from pipeline.dataset.contact_sheet import SHEET
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import manifest
from pipeline.export.export_settings import Export
from pipeline.export.parquet_shards import ParquetShards
from pipeline.export.sample_records import infer_features, read_records
from pipeline.planning.plan import load
from stages.storage.commits import read_commits
from stages.storage.store import Store


def write_dataset(store: Store, target: Store, settings: Export) -> dict[str, int]:
    """Write data/*.parquet, the contact sheet and, last, README.md. Returns the number of samples of each split.

    A split without samples is left out. No more than a row group of each split is in memory. Raises ConfigError.
    """
    plan, config = load(store), saved.read_image_config(store)
    shards = [file for file in manifest(store) if file.name.startswith("data/")]
    if not shards:
        raise ConfigError(f"{store.url} has no shards: finish its run, with thresholds that keep samples")
    if target.list("data") or target.exists("README.md"):
        raise ConfigError(f"to={target.url} is not empty: give an empty folder")
    samples = read_records(store, shards)
    first = next(samples)
    columns = infer_features(first)
    with ExitStack() as files:
        written = {
            name: files.enter_context(ParquetShards(target, name, columns, settings.rows))
            for name in split.SPLITS[: len(settings.split)]
        }
        for record in chain([first], samples):
            try:
                written[split.choose_split(record["input_prompt"], settings.split)].add(record)
            except ArrowException as error:
                raise ConfigError(f"{store.url}: sample {record['key']}: {error_line(error)}") from error
    counts = {name: shards.count for name, shards in written.items() if shards.count}
    funnel = funnel_of(plan, read_commits(store, range(plan.units)))
    pictured = store.exists(SHEET)
    if pictured:
        target.write(SHEET, store.read(SHEET))
    target.write(
        "README.md", card(config, funnel, pictured, duplicates=plan.duplicates, splits=counts).encode()
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
