"""The environment that the libraries read when they are imported."""

from __future__ import annotations

import os

from conf.either import Settings
from conf.pairs import PairsConfig
from pipeline.config import resolve
from pipeline.pairs import pairs_settings as pairs_settings


def prepare(*configs: Settings) -> None:
    """Nothing is sent anywhere, and nothing fetched that was not asked for. Call it before the libraries come in.

    Of several configurations that this process is to run, all count.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", configs[0].log.value)
    os.environ.setdefault("DIFFUSERS_VERBOSITY", configs[0].log.value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if all(map(_stays_local, configs)):
        os.environ["HF_HUB_OFFLINE"] = "1"


def _stays_local(config: Settings) -> bool:
    if isinstance(config, PairsConfig):
        return pairs_settings.stays_local(config)
    return resolve.stays_local(config)
