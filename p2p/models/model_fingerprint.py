"""Fingerprint of a model: a digest of its configs and weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from conf.messages import error_line
from p2p.errors import ModelError

_CONFIGS = {".json", ".txt", ".model", ".jinja"}
_WHOLE = 64 * 2**20
_SAMPLES, _SAMPLE = 256, 64 * 2**10


def fingerprint(model: str | Path, revision: str | None = None) -> str:
    """Computes 64 hex digits that depend only on the model's configs, vocabulary and weights.

    For a folder it covers names and bytes of configs, and names, sizes and bytes of safetensors files; of a file over
    64 MiB it covers 256 evenly spaced samples of 64 KiB, the first and the last bytes included. Modification times and
    the folder's path do not count. For a name on the hub it covers the commit.

    Raises:
        ModelError: no such model.
    """
    folder = Path(model)
    if not folder.is_dir():
        return _hub_fingerprint(str(model), revision)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in name.split("/")):
            continue
        if path.suffix in _CONFIGS or path.suffix == ".safetensors":
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            _add_bytes(digest, path)
    return digest.hexdigest()


def _add_bytes(digest: hashlib._Hash, path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            digest.update(file.read())
            return
        for k in range(_SAMPLES):
            file.seek(k * (size - _SAMPLE) // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))


def _hub_fingerprint(model: str, revision: str | None) -> str:
    # Imported here, because it takes a third of a second.
    from huggingface_hub import snapshot_download

    try:
        snapshot = Path(snapshot_download(model, revision=revision, allow_patterns=["model_index.json"]))
    except (OSError, ValueError) as error:
        reason = error_line(error)
        raise ModelError(f"{model}: no such folder, and not available from the hub: {reason}") from error
    return hashlib.sha256(f"{model}@{snapshot.name}".encode()).hexdigest()
