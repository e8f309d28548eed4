"""Finds a sample by its key in the shards of an output, which are checked against their checksums."""

from __future__ import annotations

import hashlib
import json

from conf.messages import nearest_names
from pipeline.dataset.pack import PackedFile, manifest
from stages.formats import tar
from stages.formats.images import decode
from stages.records import Sample
from stages.storage.checksum import DamageError
from stages.storage.store import Store

SUGGESTED = 4


class KeyUnknownError(ValueError):
    """The output has no sample of this key: one line with similar keys."""


def find_sample(store: Store, key: str) -> Sample:
    """Return the sample as its shard has it. Raises KeyUnknownError, and DamageError for a damaged shard."""
    keys: list[str] = []
    for file in manifest(store):
        if file.name.startswith("data/"):
            for name, files in tar.read_samples(_read_shard(store, file)):
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
        decode(files["input_image"]),
        decode(files["edited_image"]),
        files["edit_prompt"].decode(),
        json.loads(files["json"]),
    )


def _read_shard(store: Store, file: PackedFile) -> bytes:
    try:
        data = store.read(file.name)
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise DamageError(
            f"{store.path(file.name)} is damaged or missing: pairforge repair {store.url} packs it again"
        )
    return data
