"""Lists what settings may name: groups with their options, keys with their types. Hydra is not imported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import resources
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from conf.schema import Config
from conf.sweeps import SWEEPS

GROUPS = (
    "captions",
    "model",
    "sweep",
    "sampler",
    "edit",
    "filter",
    "shards",
    "cluster",
    "tracker",
    "experiment",
)


def options(group: str) -> dict[str, str]:
    """Return the options of a group, each with the line about it (the first comment of its file)."""
    entries = sorted(resources.files("conf").joinpath(group).iterdir(), key=lambda entry: entry.name)
    return {
        e.name.removesuffix(".yaml"): _summary(e.read_text()) for e in entries if e.name.endswith(".yaml")
    }


def is_group(key: str) -> bool:
    """Return whether ``key`` is a group of a run or of ``pairforge pairs``."""
    return key in (*GROUPS, "writer")


def default_of(group: str) -> str | None:
    """Return the default option of a group; None for a group without one."""
    files = (resources.files("conf").joinpath(name) for name in ("config.yaml", "pairs.yaml"))
    defaults = [entry for file in files for entry in OmegaConf.load(str(file)).defaults]
    return next(entry[group] for entry in defaults if isinstance(entry, DictConfig) and group in entry)


def _summary(text: str) -> str:
    comments = (line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@package")), "")


@cache
def known_keys(schema: type = Config) -> tuple[str, ...]:
    """Return every key and group that a setting may name, sorted."""
    return tuple(sorted(setting_types(schema)))


def setting_types(schema: type = Config) -> dict[str, Any]:
    """Return the type of every key that a setting may name; None for a group without a key."""
    types = dict(_dotted(schema))
    if schema is Config:
        for sweep in SWEEPS.values():
            types |= _dotted(sweep, "sweep.")
        types |= dict.fromkeys(GROUPS)
    return types


def _dotted(schema: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(schema)
    for entry in fields(schema):
        yield prefix + entry.name, hints[entry.name]
        if is_dataclass(hints[entry.name]):
            yield from _dotted(hints[entry.name], f"{prefix}{entry.name}.")
