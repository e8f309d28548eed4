"""Fingerprint of a CLIP model: it changes whenever the scores may change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from filters.clip.clip_source import find_clip

_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}
"""Suffixes of weights, configuration and tokenizers. Other files, such as a README, do not change scores."""


def fingerprint(name: str, pretrained: str | None = None) -> str:
    """Computes the hex SHA-256 of the model: from the names and bytes of local files, or the name of published weights.

    The bytes of published weights never change. The place of a folder does not matter. Nothing is fetched.

    Raises:
        FilterError: a model that is not there, as for `load_clip`.
    """
    source = find_clip(name, pretrained)
    if source.folder:
        return folder_digest(source.folder)
    digest = hashlib.sha256(json.dumps([name, source.tag], sort_keys=True).encode())
    if source.weights:
        digest.update(bytes.fromhex(file_digest(source.weights)))
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Computes the hex SHA-256 of the names and bytes of a model's files in `folder`."""
    digest = hashlib.sha256(b"local-dir")
    for path in sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES):
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(file_digest(path)))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Computes the hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
