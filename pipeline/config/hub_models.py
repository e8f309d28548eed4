"""Checks settings that name models of the hub before a library tries for a minute to fetch one."""

from __future__ import annotations

from conf.config_errors import ConfigError
from filters.hub import hub_answers, is_cached, is_hub_name, use_cache_alone

FILES = ("model_index.json", "config.json")
"""One of them is in every model that a setting can name."""


def check_hub_models(*settings: tuple[str, str | None, str | None]) -> None:
    """Raise ConfigError for a model that is not on this machine if the hub does not answer within two seconds.

    Each setting is its key, the model that it names, and the revision. If all models are on this machine and the hub
    does not answer, it is turned off.
    """
    named = [(key, name, revision) for key, name, revision in settings if name and is_hub_name(name)]
    if not named or hub_answers():
        return
    for key, name, revision in named:
        if not is_cached(name, FILES, revision):
            raise ConfigError(
                f"{key}={name} is not on this machine, and the hub does not answer: connect to the network once, or "
                f"give {key}=FOLDER, a folder of the model on this machine"
            )
    use_cache_alone()
