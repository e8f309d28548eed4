"""The environment that the libraries read when they are imported."""

from __future__ import annotations

import os

from conf.pairs import PairsConfig
from conf.schema import Config
from pipeline import settings
from pipeline.pairs import settings as pairs_settings


def prepare(config: Config | PairsConfig) -> None:
    """Nothing is sent anywhere, and nothing fetched that was not asked for. Call it before the libraries come in."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", config.log.value)
    os.environ.setdefault("DIFFUSERS_VERBOSITY", config.log.value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local = pairs_settings.stays_local if isinstance(config, PairsConfig) else settings.stays_local
    if local(config):
        os.environ["HF_HUB_OFFLINE"] = "1"
