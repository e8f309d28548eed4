"""The environment that the libraries read when they are imported."""

from __future__ import annotations

import os

from conf.pairs import Settings


def prepare(*configs: Settings) -> None:
    """Turn telemetry off, and the model hub too if no configuration needs it.

    Call it before the libraries are imported, with every configuration that this process is to run.
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", configs[0].log.value)
    os.environ.setdefault("DIFFUSERS_VERBOSITY", configs[0].log.value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if all(config.stays_local() for config in configs):
        os.environ["HF_HUB_OFFLINE"] = "1"
