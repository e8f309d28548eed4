"""Settings of ``pairforge export``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from conf.bounds import at_least, bounded
from conf.compose import read_settings
from conf.config_errors import ConfigError
from pipeline.dataset import split

# In this form because of the hyphen.
Format = Enum("Format", {"hf-parquet": "hf-parquet"})


@dataclass
class Export:
    """``rows`` is the number of samples of a Parquet file, ``push_to_hub`` the name of a dataset on the hub."""

    to: str = MISSING
    format: Format = Format["hf-parquet"]
    split: list[float] = field(default_factory=lambda: [1.0])
    rows: int = bounded(at_least(1), 1000)
    push_to_hub: str | None = None


def read(settings: Sequence[str]) -> Export:
    """Read ``key=value`` settings. Raises ConfigError."""
    export: Export = read_settings(Export, settings, "export")
    problem = split.find_problem(export.split)
    if problem:
        raise ConfigError(f"split={export.split} {problem}")
    if export.push_to_hub and "://" in export.to:
        raise ConfigError(f"push_to_hub needs a local folder, not to={export.to}")
    return export
