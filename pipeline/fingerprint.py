"""What a run's results depend on: if two runs agree in this, their candidates and their shards agree."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import p2p
from conf.schema import Config

# Raised when a change of the program changes what the same settings make.
FORMAT = 1


def settings_of(config: Config, captions_sha256: str, model_fingerprint: str) -> dict[str, Any]:
    """Every setting that changes results, by its dotted name. The cluster, batches, paths and logs do not.

    The models enter by what they hold and the captions by their digest, so either may move.
    """
    settings = {
        "format": FORMAT,
        "seed": config.seed,
        "unit_pairs": config.unit_pairs,
        "captions": captions_sha256,
        "model.name": config.model.name,
        "model.revision": config.model.revision,
        "model.dtype": config.model.dtype,
        "model.fingerprint": model_fingerprint,
        "filter.clip": clip_fingerprint(config),
        "sweep.kind": type(config.sweep).__name__,
    }
    for section in ("sweep", "sampler", "edit", "filter", "shards"):
        for name, value in asdict(getattr(config, section)).items():
            if (section, name) not in (("filter", "name"), ("filter", "pretrained")):
                settings[f"{section}.{name}"] = value.value if isinstance(value, Enum) else value
    return settings


def model_fingerprint(config: Config) -> str:
    """Raises p2p.ModelError."""
    return str(p2p.fingerprint(config.model.path, config.model.revision))


def clip_fingerprint(config: Config) -> str:
    """Of a folder or a file, its bytes; of a published tag, its name, which stands for bytes that never change."""
    name, pretrained = config.filter.name, config.filter.pretrained or ""
    if name.startswith("local-dir:"):
        folder = Path(name.removeprefix("local-dir:"))
        return _digest(sorted(path for path in folder.rglob("*") if path.is_file()))
    return f"{name} {_digest([Path(pretrained)]) if Path(pretrained).is_file() else pretrained}"


def difference(planned: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The fields in which two settings differ, as "name was a, is b"."""
    names = sorted(planned.keys() | now.keys())
    return [
        f"{name} was {planned.get(name)!r}, is {now.get(name)!r}"
        for name in names
        if planned.get(name) != now.get(name)
    ]


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\n{path.stat().st_size}\n".encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
