"""Finds a sample by its key in the shards of an output, whose checksums it compares."""

from __future__ import annotations

import json

from conf.messages import nearest_names
from pipeline.dataset.pack import manifest
from stages.formats import tar
from stages.records import Sample
from stages.storage.store import Store

SUGGESTED = 4


class KeyUnknownError(ValueError):
    """The output has no sample of this key: one line with similar keys."""


def find_sample(store: Store, key: str) -> Sample:
    """Return the sample as its shard has it. Raises KeyUnknownError, and DamageError for a damaged shard."""
    keys: list[str] = []
    for file in manifest(store):
        if file.name.startswith("data/"):
            for name, files in tar.read_samples(store.read_checked(file.name, file.sha256)):
                if name == key:
                    return _sample(key, files)
                keys.append(name)
    near = nearest_names(key, keys, most=SUGGESTED, least=0.5)
    suggestion = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise KeyUnknownError(f"{store.url} has no sample {key}{suggestion}")


def _sample(key: str, files: tar.Files) -> Sample:
    files = {name.partition(".")[0]: content for name, content in files.items()}
    return Sample(
        key,
        tar.decode_image(files["input_image"]),
        tar.decode_image(files["edited_image"]),
        files["edit_prompt"].decode(),
        json.loads(files["json"]),
    )
