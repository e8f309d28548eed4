"""A CLIP's identity: what changes when its scores may."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from filters.clip.clip_source import find_clip

_PARTS = {".safetensors", ".json", ".txt", ".model"}
"""Weights, configuration and the forms that tokenizers have: a README beside them scores nothing."""


def fingerprint(name: str, pretrained: str | None = None) -> str:
    """Hex SHA-256 that changes with the model: of local files their names and bytes, of published weights their
    name, which stands for bytes that do not change. Where a folder lies does not matter; nothing is fetched.

    Raises:
        FilterError: as `load_clip` does for what is not there.
    """
    source = find_clip(name, pretrained)
    if source.folder:
        return folder_digest(source.folder)
    digest = hashlib.sha256(json.dumps([name, source.tag], sort_keys=True).encode())
    if source.weights:
        digest.update(bytes.fromhex(file_digest(source.weights)))
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """Hex SHA-256 of the names and bytes of a model's files in `folder`."""
    digest = hashlib.sha256(b"local-dir")
    for path in sorted(path for path in folder.iterdir() if path.suffix in _PARTS):
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(file_digest(path)))
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
