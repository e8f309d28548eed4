"""A CLIP's identity: what changes when its scores may."""

from __future__ import annotations

import hashlib
import json

from filters.source import find_clip

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
        files = sorted(path for path in source.folder.iterdir() if path.suffix in _PARTS)
        digest = hashlib.sha256(b"local-dir")
    else:
        files = [source.weights] if source.weights else []
        digest = hashlib.sha256(json.dumps([name, source.tag], sort_keys=True).encode())
    for path in files:
        if source.folder:
            digest.update(path.name.encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
