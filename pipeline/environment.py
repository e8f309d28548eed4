"""The environment that the libraries read when they are imported."""

from __future__ import annotations

import os

from conf.schema import Config
from pipeline.settings import stays_local


def prepare(config: Config) -> None:
    """Nothing is sent anywhere, and nothing fetched that was not asked for. Call it before the libraries come in."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", config.log.value)
    os.environ.setdefault("DIFFUSERS_VERBOSITY", config.log.value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if stays_local(config):
        os.environ["HF_HUB_OFFLINE"] = "1"
