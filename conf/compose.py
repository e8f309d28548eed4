"""Composes the settings of the command line into one resolved configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.messages import nearest_names
from conf.pairs import PairsConfig
from conf.schema import Config
from conf.setting_keys import known_keys, options
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep


class ConfigError(ValueError):
    """A setting that cannot be: its message is one line that names the key and the mend."""


def compose_config(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type = Config
) -> DictConfig:
    """The configuration that ``settings`` (``key=value``, Hydra's grammar) make of ``conf/config.yaml``, or with
    the schema PairsConfig of ``conf/pairs.yaml``.

    ``miniworld`` resolves ``${miniworld:model}``, ``${miniworld:clip}`` and ``${miniworld:captions}`` to paths.
    Raises ConfigError for a key, an option or a value that does not exist, and for a key left without value.
    """
    OmegaConf.register_new_resolver("miniworld", miniworld, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(name="pairs_schema", node=PairsConfig)
    store.store(group="schema/sweep", name="grid", node=GridSweep)
    store.store(group="schema/sweep", name="random", node=RandomSweep)
    store.store(group="schema/sweep", name="adaptive", node=AdaptiveSweep)
    for setting in settings:
        if "=" not in setting or setting[0] in "+~":
            raise ConfigError(f"{setting!r} is no setting: write key=value (see pairforge --help)")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            config = compose("config" if schema is Config else "pairs", overrides=list(settings))
        missing = sorted(OmegaConf.missing_keys(config))
        if missing:
            raise ConfigError(f"{missing[0]} has no value: give {missing[0]}=…")
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, schema)) from error
    return config


def changed(
    config: Config, settings: Sequence[str], allowed: Sequence[str], why_not: Callable[[str], str]
) -> DictConfig:
    """A configuration with other values of some keys.

    Raises ConfigError for a key that is none, one that is not ``allowed``, as ``why_not`` says, and a bad value.
    """
    node = OmegaConf.structured(config)
    parser = OverridesParser.create()
    for setting in settings:
        if "=" not in setting or setting[0] in "+~":
            raise ConfigError(f"{setting!r} is no setting: write key=value (see pairforge --help)")
        try:
            override = parser.parse_override(setting)
            key = override.key_or_group
            if key not in allowed:
                if key not in known_keys():
                    raise ConfigError(f"unknown key {key!r}{_near(key, allowed)}")
                raise ConfigError(why_not(key))
            OmegaConf.update(node, key, override.value())
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_explain(error)) from error
    return node


def one_line(error: OmegaConfBaseException) -> str:
    """OmegaConf's several lines as one, with the key first where it names one."""
    reason = _reason(str(error))
    return f"{error.full_key}: {reason}" if error.full_key else reason


def to_object(config: DictConfig | ListConfig) -> Config:
    """The schema's dataclasses, filled."""
    return OmegaConf.to_object(config)  # type: ignore[return-value]


def _explain(error: Exception, schema: type = Config) -> str:
    """Hydra's several lines as one, with near matches for a key that does not exist."""
    if isinstance(error, OverrideParseException):
        return f"{error.override}: put a value with special characters in quotes: key='\"a value, with = and ,\"'"
    chain = [str(e) for e in _causes(error)]
    unknown = re.search(r"Could not override '([^']+)'", chain[0])
    absent = re.search(r"Could not find '([^'/]+)/([^']*)'", chain[0])
    if unknown:
        key = unknown[1]
        if key in known_keys(schema):
            return f"{key} belongs to another option of its group; pairforge --cfg job shows the chosen one's"
        return f"unknown key {key!r}{_near(key, known_keys(schema))}; pairforge --cfg job shows every key"
    if absent:
        group, choice = absent[1], absent[2]
        return f"no option {choice!r} in group {group!r}: choose one of {', '.join(options(group))}"
    reason = _reason(chain[-1])
    key = re.search(r"full_key: (\S+)", chain[-1])
    setting = re.search(r"Error merging override (\S+)", chain[0])
    name = setting[1] if setting else key[1] if key else ""
    return f"{name}: {reason}" if name else reason


def _reason(text: str) -> str:
    return " ".join(text.split("full_key:")[0].split())


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _near(key: str, known: Sequence[str]) -> str:
    last = key.rsplit(".", 1)[-1]
    near = [name for name in known if name.rsplit(".", 1)[-1] == last]
    if not near:
        close = nearest_names(last, [name.rsplit(".", 1)[-1] for name in known], most=3)
        near = nearest_names(key, known, most=3) or [n for n in known if n.rsplit(".", 1)[-1] in close]
    return f" (did you mean {' or '.join(near[:3])}?)" if near else ""
