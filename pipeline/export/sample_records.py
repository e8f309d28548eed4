"""Samples of shards as rows of a table: the images, the instruction, and the JSON's fields side by side."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any

from datasets import Features, Image, Value

from conf.compose import ConfigError
from pipeline.dataset.pack import Packed
from stages.formats import tar
from stages.storage.store import Store

IMAGES = ("input_image", "edited_image")
TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


def rows(store: Store, shards: list[Packed]) -> Iterator[dict[str, Any]]:
    """The samples of the shards, one at a time, in their order.

    Raises ConfigError for a shard that is missing, short or no tar, or in which a sample is not whole.
    """
    for shard in shards:
        count = 0
        try:
            with store.open_read(shard.name) as stream:
                for key, files in tar.read_samples(stream):
                    count += 1
                    yield row(key, files)
        except (tarfile.TarError, OSError, KeyError, ValueError) as error:
            raise _damaged(store, shard, f"{type(error).__name__}: {' '.join(str(error).split())}") from error
        if count != shard.rows:
            raise _damaged(store, shard, f"it holds {count:,} of its {shard.rows:,} samples")


def row(key: str, files: list[tuple[str, bytes]]) -> dict[str, Any]:
    """One sample: ``input_image``, ``edit_prompt``, ``edited_image``, ``key``, then the other fields of its JSON."""
    parts = {name.split(".", 1)[1]: data for name, data in files}
    metadata = json.loads(parts["json"])
    pictures = {
        image: {"bytes": data, "path": f"{key}.{name}"}
        for image in IMAGES
        for name, data in parts.items()
        if name.startswith(image)
    }
    first = {"input_image": pictures["input_image"], "edit_prompt": parts["edit_prompt.txt"].decode()}
    return {**first, "edited_image": pictures["edited_image"], "key": key} | metadata


def features(first: dict[str, Any]) -> Features:
    """The columns' types, from one row: a field of the JSON has the same type in every sample."""
    return Features(
        {name: Image() if name in IMAGES else Value(TYPES[type(value)]) for name, value in first.items()}
    )


def _damaged(store: Store, shard: Packed, reason: str) -> ConfigError:
    return ConfigError(f"{store.path(shard.name)}: {reason}: pairforge repair {store.url} makes it anew")
