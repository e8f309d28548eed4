"""``pairforge export OUT to=FOLDER``: a finished run as Parquet that ``datasets`` and its trainers read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pyarrow import ArrowException

from conf.compose import ConfigError, one_line
from pipeline.cli.registry import COMMANDS
from pipeline.config import saved
from pipeline.dataset.card import card
from pipeline.dataset.contact_sheet import SHEET
from pipeline.dataset.funnel import funnel_of
from pipeline.dataset.pack import manifest
from pipeline.export import split
from pipeline.export.parquet_shards import ParquetShards
from pipeline.export.sample_records import infer_features, read_records
from pipeline.planning.plan import load
from stages.storage.store import Store
from stages.write import read_commits

# In this form because of the hyphen.
Format = Enum("Format", {"hf-parquet": "hf-parquet"})


@dataclass
class Export:
    """What ``export`` is told: ``rows`` is a Parquet file's number, ``push_to_hub`` a dataset's name there."""

    to: str = MISSING
    format: Format = Format["hf-parquet"]
    split: list[float] = field(default_factory=lambda: [1.0])
    rows: int = 1000
    push_to_hub: str | None = None


def main(arguments: Sequence[str]) -> int:
    """Write the dataset, print how many samples each split has; 0.

    Raises ConfigError for settings that cannot be, for an output without samples, for a folder that is not empty, and
    for what the hub refuses; StoreError.
    """
    if not arguments or arguments[0].startswith("-") or "=" in arguments[0]:
        raise ConfigError(f"export takes an output and settings: pairforge {COMMANDS['export'].usage}")
    asked = settings(arguments[1:])
    store, target = Store(arguments[0]), Store(asked.to)
    counts = export(store, target, asked)
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    print(f"{target.url}: {sum(counts.values()):,} samples ({told})")
    if asked.push_to_hub:
        _push(target, asked.push_to_hub)
    return 0


def settings(arguments: Sequence[str]) -> Export:
    """The ``key=value`` of the command line. Raises ConfigError."""
    try:
        given = OmegaConf.from_dotlist(list(arguments))
        asked: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Export), given))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{one_line(error)}: pairforge {COMMANDS['export'].usage}") from error
    problem = split.find_problem(asked.split)
    if problem:
        raise ConfigError(f"split={asked.split} {problem}")
    if asked.rows < 1:
        raise ConfigError(f"rows={asked.rows} must be 1 or more")
    if asked.push_to_hub and "://" in asked.to:
        raise ConfigError(f"push_to_hub wants a local folder, not to={asked.to}")
    return asked


def export(store: Store, target: Store, asked: Export) -> dict[str, int]:
    """Write data/*.parquet, the contact sheet and, last, README.md; the number of samples of each split that has any.

    No more than a row group of each split is in memory. Raises ConfigError.
    """
    config = saved.read_image_config(store)
    shards = [file for file in manifest(store) if file.name.startswith("data/")]
    if not shards:
        raise ConfigError(f"{store.url} has no shards: run it to its end, and see that it keeps samples")
    if target.list("data") or target.exists("README.md"):
        raise ConfigError(f"to={target.url} holds something already: give an empty folder")
    samples = read_records(store, shards)
    first = next(samples)
    columns = infer_features(first)
    with ExitStack() as files:
        written = {
            name: files.enter_context(ParquetShards(target, name, columns, asked.rows))
            for name in split.SPLITS[: len(asked.split)]
        }
        for row in chain([first], samples):
            try:
                written[split.choose_split(row["input_prompt"], asked.split)].add(row)
            except ArrowException as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"{store.url}: sample {row['key']}: {reason}") from error
    counts = {name: shards.count for name, shards in written.items() if shards.count}
    plan = load(store)
    funnel = funnel_of(plan, read_commits(store, range(plan.units)))
    pictured = store.exists(SHEET)
    if pictured:
        target.write(SHEET, store.read(SHEET))
    target.write(
        "README.md", card(config, funnel, pictured, duplicates=plan.duplicates, splits=counts).encode()
    )
    return counts


def _push(target: Store, name: str) -> None:
    # They take a second to import, and few exports are pushed.
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        # As it stands, card and pictures with it; push_to_hub of datasets would write the images anew and leave those.
        HfApi().create_repo(name, repo_type="dataset", exist_ok=True)
        HfApi().upload_folder(repo_id=name, repo_type="dataset", folder_path=target.url)
    except (OSError, ValueError, HTTPError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"push_to_hub={name}: {reason} The export stands in {target.url}: push it later with hf upload"
        ) from error
