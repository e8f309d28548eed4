"""Reads the ``key=value`` settings of a command that has its own dataclass of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.compose import ConfigError, one_line


def read_settings(schema: type, settings: Sequence[str], command: str) -> Any:
    """Return an object of ``schema``. Raises ConfigError for a wrong key or value, or a key without a value."""
    help_hint = f"see pairforge {command} --help"
    wrong = [setting for setting in settings if "=" not in setting]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} is not a setting: write key=value; {help_hint}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.from_dotlist(list(settings)))
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise ConfigError(f"{missing[0]} has no value: give {missing[0]}=…; {help_hint}")
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{one_line(error)}; {help_hint}") from error
