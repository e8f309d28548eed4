"""Reads the samples of shards as flat records: the images, the instruction, and the fields of the JSON."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any

from datasets import Features, Image, Value

from conf.compose import ConfigError
from conf.messages import typed_error_line
from pipeline.dataset.pack import PackedFile
from stages.formats import tar
from stages.storage.store import Store

IMAGES = ("input_image", "edited_image")
TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


def read_records(store: Store, shards: list[PackedFile]) -> Iterator[dict[str, Any]]:
    """The samples of the shards in order, one at a time.

    Raises ConfigError for a shard that is missing, too short or not a tar, and for an incomplete sample.
    """
    for shard in shards:
        repair = f"pairforge repair {store.url} makes it again"
        count = 0
        try:
            with store.open_read(shard.name) as stream:
                for key, files in tar.read_samples(stream):
                    count += 1
                    yield make_record(key, files)
        except (tarfile.TarError, OSError, KeyError, ValueError) as error:
            reason = typed_error_line(error)
            raise ConfigError(f"{store.path(shard.name)}: {reason}: {repair}") from error
        if count != shard.rows:
            reason = f"it holds {count:,} of its {shard.rows:,} samples"
            raise ConfigError(f"{store.path(shard.name)}: {reason}: {repair}")


def make_record(key: str, files: tar.Files) -> dict[str, Any]:
    """One sample: ``input_image``, ``edit_prompt``, ``edited_image``, ``key``, then the other fields of its JSON."""
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


def infer_features(record: dict[str, Any]) -> Features:
    """The types of the columns, from one record: a field of the JSON has the same type in every sample."""
    return Features(
        {name: Image() if name in IMAGES else Value(TYPES[type(value)]) for name, value in record.items()}
    )
