"""Reads the settings of the command line: composes the configuration of a run, or fills the dataclass of a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.bounds import out_of_bounds
from conf.config_errors import ConfigError, check_missing, explain, suggest_keys
from conf.hydra_options import NO_OPTIONS, HydraOptions
from conf.hydra_session import open_session, quote_text
from conf.messages import suggest_name
from conf.schema import Config
from conf.setting_keys import known_keys


def compose_config(
    settings: Sequence[str],
    miniworld: Callable[[str], str],
    schema: type = Config,
    options: HydraOptions = NO_OPTIONS,
) -> DictConfig:
    """Compose ``conf/config.yaml`` with ``settings`` (Hydra's grammar); with the schema PairsConfig, compose
    ``conf/pairs.yaml``. ``options`` may name another primary configuration.

    ``miniworld`` resolves ``${miniworld:model}``, ``${miniworld:clip}`` and ``${miniworld:captions}`` to paths.
    Raises ConfigError for a key, an option or a value that does not exist, and for a key without a value.
    """
    with open_session(settings, miniworld, schema, options) as session:
        config = session.hydra.get_sanitized_cfg(session.compose(), "job")
        check_missing(config)
        OmegaConf.resolve(config)
    return config


def describe(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> str:
    """Return the YAML that ``--cfg`` asks for. Raises ConfigError as ``compose_config``, but not for missing values."""
    with open_session(settings, miniworld, schema, options) as session:
        composed = session.compose()
        # Hydra's own keys cannot be changed once it has composed.
        OmegaConf.set_readonly(composed.hydra, None)
        return show_package(
            session.hydra.get_sanitized_cfg(composed, options.cfg or "job"), options.package, options.resolve
        )


def show_package(config: DictConfig, package: str | None, resolve: bool) -> str:
    """Return a part of a configuration as YAML, or all of it. Raises ConfigError if there is no such part."""
    part: Any = config
    if package not in (None, "_global_"):
        absent = object()
        part = OmegaConf.select(config, str(package), default=absent)
        if part is absent:
            near = suggest_name(str(package), map(str, config))
            raise ConfigError(f"--package {package}: the configuration has no such part{near}")
    if not OmegaConf.is_config(part):
        return f"{part.name if isinstance(part, Enum) else part}\n"
    if resolve:
        OmegaConf.resolve(part)
    return ("" if part is config else f"# @package {package}\n") + OmegaConf.to_yaml(part)


def print_info(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> None:
    """Print what ``--info`` asks for, as Hydra does. Raises ConfigError as ``compose_config``."""
    with open_session(settings, miniworld, schema, options) as session:
        session.compose()  # Hydra itself would end the process at an error.
        session.hydra.show_info(options.info or "all", session.name, session.lines())


def expand_sweep(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> tuple[list[str], list[list[str]]]:
    """Return the keys with several values, and the settings of each combination. Raises ConfigError.

    The combinations are those of Hydra's basic sweeper: the values of the last key change fastest.
    """
    with open_session(settings, miniworld, schema, options) as session:
        (combinations,) = BasicSweeper.split_arguments(session.overrides, max_batch_size=None)
        last = {override.get_key_element(): override for override in session.overrides}
        return [key for key, override in last.items() if override.is_sweep_override()], combinations


def changed(
    config: Config, settings: Sequence[str], allowed: Sequence[str], why_not: Callable[[str], str]
) -> DictConfig:
    """Return a configuration with other values of some keys.

    Raises ConfigError for an unknown key, for a key that is not ``allowed`` (``why_not`` gives the message), for an
    invalid value, and for an entry of a list without one.
    """
    node = OmegaConf.structured(config)
    parser = OverridesParser.create()
    for setting in settings:
        try:
            override = parser.parse_override(quote_text(setting))
            key = override.key_or_group
            if override.type is not OverrideType.CHANGE:
                raise ConfigError(f"{setting!r} is no setting of this command: write key=value")
            if key not in allowed:
                if key not in known_keys():
                    raise ConfigError(f"unknown key {key!r}{suggest_keys(key, allowed)}")
                raise ConfigError(why_not(key))
            OmegaConf.update(node, key, override.value())
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error)) from error
    check_missing(node)
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
        check_missing(merged, f"; {help_hint}")
        values = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{explain(error)}; {help_hint}") from error
    for problem in out_of_bounds(values):
        raise ConfigError(problem)
    return values


def to_object(config: DictConfig | ListConfig) -> Config:
    """The schema's dataclasses, filled."""
    return OmegaConf.to_object(config)  # type: ignore[return-value]
