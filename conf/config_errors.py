"""Errors of settings: one line each, with the key, the fix and near names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hydra.errors import OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf

from conf.messages import nearest_names, suggest_name
from conf.schema import Config
from conf.setting_keys import known_keys


class ConfigError(ValueError):
    """An invalid setting. The message is one line that names the key and the fix."""


def check_missing(config: DictConfig | ListConfig, hint: str = "") -> None:
    for key in sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{key} has no value: give {key}=…{hint}")


def explain(error: Exception, schema: type = Config) -> str:
    """The error of Hydra or OmegaConf as one line, with near matches for an unknown key."""
    if isinstance(error, OverrideParseException):
        return f"{error.override}: put a value with special characters in quotes: key='\"a value, with = and ,\"'"
    *_, cause = _causes(error)
    chain = [str(e) for e in _causes(error)]
    unknown = re.search(r"Could not override '([^']+)'", chain[0])
    in_file = re.search(
        r"^In '([^']+)': \w+ raised.*Key '[^']*' not in '[^']*'\s+full_key: (\S+)", chain[0], re.DOTALL
    )
    twice = re.search(r"^Multiple values for (\S+)\.", chain[0])
    if twice:
        return f"{twice[1]} has an option already: write {twice[1]}=… without +"
    if in_file:
        return f"{in_file[1]}.yaml: {unknown_key(in_file[2], known_keys(schema))}"
    if unknown:
        key, field = unknown[1], getattr(cause, "key", None)
        if isinstance(field, str) and field not in key.split("."):
            names = list(getattr(cause, "object_type", Config).__dataclass_fields__)
            return f"{key} has an unknown field {field!r}{suggest_name(field, names)}: it takes {', '.join(names)}"
        if key in known_keys(schema):
            return f"{key} belongs to another option of its group; pairforge --cfg job shows the chosen one's"
        return unknown_key(key, known_keys(schema))
    empty = re.search(r"Missing mandatory value: (\S+)", chain[-1])
    if empty:
        return f"{empty[1]} has no value: give {empty[1]}=…"
    reason = " ".join(chain[-1].split("full_key:")[0].split())
    key = re.search(r"full_key: (\S+)", chain[-1])
    setting = re.search(r"Error merging override (\S+)", chain[0])
    name = setting[1] if setting else key[1] if key else ""
    return f"{name}: {reason}" if name else reason


def unknown_key(key: str, known: Sequence[str]) -> str:
    return f"unknown key {key!r}{suggest_keys(key, known)}; pairforge --cfg job shows every key"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def suggest_keys(key: str, known: Sequence[str]) -> str:
    """ " (did you mean …?)" with keys that end as ``key`` does, or else look like it; "" if there are none."""
    name, names = _last_name(key), [_last_name(other) for other in known]
    near = [other for other in known if _last_name(other) == name]
    if not near:
        close = nearest_names(name, names, most=3)
        near = nearest_names(key, known, most=3) or [o for o in known if _last_name(o) in close]
    return f" (did you mean {' or '.join(near[:3])}?)" if near else ""


def _last_name(key: str) -> str:
    return key.rsplit(".", 1)[-1]
