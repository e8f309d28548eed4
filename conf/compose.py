"""Reads the settings of the command line: composes the configuration of a run, or fills the dataclass of a command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.bounds import out_of_bounds
from conf.messages import nearest_names
from conf.pairs import PairsConfig
from conf.schema import Config
from conf.setting_keys import known_keys, options
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep


class ConfigError(ValueError):
    """An invalid setting. The message is one line that names the key and the fix."""


def compose_config(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type = Config
) -> DictConfig:
    """Compose ``conf/config.yaml`` with ``settings`` (``key=value``, Hydra's grammar); with the schema PairsConfig,
    compose ``conf/pairs.yaml``.

    ``miniworld`` resolves ``${miniworld:model}``, ``${miniworld:clip}`` and ``${miniworld:captions}`` to paths.
    Raises ConfigError for a key, an option or a value that does not exist, and for a key without a value.
    """
    OmegaConf.register_new_resolver("miniworld", miniworld, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(name="pairs_schema", node=PairsConfig)
    store.store(group="schema/sweep", name="grid", node=GridSweep)
    store.store(group="schema/sweep", name="random", node=RandomSweep)
    store.store(group="schema/sweep", name="adaptive", node=AdaptiveSweep)
    overrides = [_quote_text(setting) for setting in settings]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            config = compose("config" if schema is Config else "pairs", overrides=overrides)
        _check_missing(config)
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        line = _explain(error, schema)
        for override, setting in zip(overrides, settings, strict=True):
            line = line.replace(override, setting)
        raise ConfigError(line) from error
    return config


def changed(
    config: Config, settings: Sequence[str], allowed: Sequence[str], why_not: Callable[[str], str]
) -> DictConfig:
    """Return a configuration with other values of some keys.

    Raises ConfigError for an unknown key, for a key that is not ``allowed`` (``why_not`` gives the message), and for an
    invalid value.
    """
    node = OmegaConf.structured(config)
    parser = OverridesParser.create()
    for setting in settings:
        try:
            override = parser.parse_override(_quote_text(setting))
            key = override.key_or_group
            if key not in allowed:
                if key not in known_keys():
                    raise ConfigError(f"unknown key {key!r}{_suggest_keys(key, allowed)}")
                raise ConfigError(why_not(key))
            OmegaConf.update(node, key, override.value())
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_explain(error)) from error
    return node


def read_settings(schema: type, settings: Sequence[str], command: str) -> Any:
    """Return an object of ``schema``, the dataclass of a command's own settings.

    Raises ConfigError for a wrong key or value, a key without a value, and a value out of its bound.
    """
    help_hint = f"see pairforge {command} --help"
    for setting in settings:
        if "=" not in setting:
            raise ConfigError(f"{setting!r} is not a setting: write key=value; {help_hint}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.from_dotlist(list(settings)))
        _check_missing(merged, f"; {help_hint}")
        values = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{_explain(error)}; {help_hint}") from error
    for problem in out_of_bounds(values):
        raise ConfigError(problem)
    return values


def to_object(config: DictConfig | ListConfig) -> Config:
    """The schema's dataclasses, filled."""
    return OmegaConf.to_object(config)  # type: ignore[return-value]


def _quote_text(setting: str) -> str:
    """Quote a value that Hydra's grammar takes only in quotes, as it does paths with umlauts or quotation marks.

    Raises ConfigError for what is no setting. A value that begins as a list, a mapping or a quoted text stays as it is.
    """
    key, equals, value = setting.partition("=")
    if not equals or setting[0] in "+~":
        raise ConfigError(f"{setting!r} is no setting: write key=value (see pairforge --help)")
    try:
        OverridesParser.create().parse_override(setting)
    except HydraException:
        if value[:1] not in ("[", "{", "'", '"'):
            text = re.sub(r"(\\*)'", r"\1\1\\'", value)
            text = re.sub(r"(\\+)$", r"\1\1", text)
            return f"{key}='{text}'"
    return setting


def _check_missing(config: DictConfig | ListConfig, hint: str = "") -> None:
    for key in sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{key} has no value: give {key}=…{hint}")


def _explain(error: Exception, schema: type = Config) -> str:
    """The error of Hydra or OmegaConf as one line, with near matches for an unknown key."""
    if isinstance(error, OverrideParseException):
        return f"{error.override}: put a value with special characters in quotes: key='\"a value, with = and ,\"'"
    chain = [str(e) for e in _causes(error)]
    unknown = re.search(r"Could not override '([^']+)'", chain[0])
    absent = re.search(r"Could not find '([^'/]+)/([^']*)'", chain[0])
    if unknown:
        key = unknown[1]
        if key in known_keys(schema):
            return f"{key} belongs to another option of its group; pairforge --cfg job shows the chosen one's"
        return f"unknown key {key!r}{_suggest_keys(key, known_keys(schema))}; pairforge --cfg job shows every key"
    if absent:
        group, choice = absent[1], absent[2]
        return f"no option {choice!r} in group {group!r}: choose one of {', '.join(options(group))}"
    reason = " ".join(chain[-1].split("full_key:")[0].split())
    key = re.search(r"full_key: (\S+)", chain[-1])
    setting = re.search(r"Error merging override (\S+)", chain[0])
    name = setting[1] if setting else key[1] if key else ""
    return f"{name}: {reason}" if name else reason


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _suggest_keys(key: str, known: Sequence[str]) -> str:
    """ " (did you mean …?)" with keys that end as ``key`` does, or else look like it; "" if there are none."""
    name, names = _last_name(key), [_last_name(other) for other in known]
    near = [other for other in known if _last_name(other) == name]
    if not near:
        close = nearest_names(name, names, most=3)
        near = nearest_names(key, known, most=3) or [o for o in known if _last_name(o) in close]
    return f" (did you mean {' or '.join(near[:3])}?)" if near else ""


def _last_name(key: str) -> str:
    return key.rsplit(".", 1)[-1]
