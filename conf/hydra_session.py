"""Hydra's session of a command line: its search path, its overrides, and what it composes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from conf.config_errors import ConfigError, explain, unknown_key
from conf.hydra_options import HydraOptions
from conf.messages import error_line, suggest_name
from conf.pairs import PairsConfig
from conf.schema import Config
from conf.setting_keys import is_group, known_keys
from conf.sweeps import SWEEPS, sweep_option

VERBOSE = "hydra.verbose"
"""The one key of Hydra's own that is taken."""


@dataclass
class Session:
    """Hydra with the packaged and the user's configurations, and the overrides of a command line."""

    hydra: Hydra
    name: str
    overrides: list[Override]
    schema: type

    def compose(self) -> DictConfig:
        """Compose everything, Hydra's own part too."""
        config = self.hydra.compose_config(self.name, self.lines(), RunMode.RUN, from_shell=False)
        if OmegaConf.get_type(config) is not self.schema:
            main = _main_config(self.schema)
            raise ConfigError(
                f"the configuration {self.name} needs a defaults list that begins with: - {main}"
            )
        for override in filter(self._removes_setting, self.overrides):
            section, _, key = override.key_or_group.rpartition(".")
            node = OmegaConf.select(config, section) if section else config
            if key not in node:
                raise ConfigError(f"~{override.key_or_group} is not in this configuration")
            defaults: Any = OmegaConf.to_container(OmegaConf.structured(OmegaConf.get_type(node)))
            OmegaConf.update(config, override.key_or_group, defaults[key])
        if config.hydra.verbose:
            config.log = "debug"
        return config

    def lines(self) -> list[str]:
        """The overrides as Hydra takes them. It cannot remove a key of a schema: ``compose`` gives it its default."""
        return [str(o.input_line) for o in self.overrides if not self._removes_setting(o)]

    def _removes_setting(self, override: Override) -> bool:
        known = override.key_or_group in known_keys(self.schema)
        return known and override.is_delete() and not self._is_group(override)

    def _is_group(self, override: Override) -> bool:
        return bool(self.hydra.config_loader.get_group_options(override.key_or_group))

    def check_keys(self) -> None:
        """Raise ConfigError for a key of Hydra's own, and for one that + or ~ names outside of the schema."""
        known = known_keys(self.schema)
        for override in self.overrides:
            key = override.key_or_group
            if override.is_hydra_override() and key != VERBOSE:
                raise ConfigError(
                    f"{key} is a setting of Hydra's own main, which pairforge does not use: out=FOLDER names the "
                    f"output, and {VERBOSE}=true shows all messages"
                )
            plain = override.type is OverrideType.CHANGE or key in (*known, VERBOSE)
            if not plain and not self._is_group(override):
                raise ConfigError(unknown_key(key, known))


@contextmanager
def open_session(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> Iterator[Session]:
    """Open Hydra for a command line. Errors of Hydra, of OmegaConf and of YAML become ConfigErrors."""
    OmegaConf.register_new_resolver("miniworld", miniworld, replace=True)
    OmegaConf.register_new_resolver("times", lambda *factors: math.prod(factors), replace=True)
    _store_schemas()
    search_path = create_config_search_path("pkg://conf")
    if options.config_dir is not None:
        folder = Path(options.config_dir).absolute()
        if not folder.is_dir():
            raise ConfigError(f"--config-dir {options.config_dir} is no folder")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    lines = [quote_text(setting) for setting in settings]
    name = options.config_name or _main_config(schema)
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("pairforge", search_path)
        overrides = OverridesParser.create(hydra.config_loader).parse_overrides(lines)
        session = Session(hydra, name, overrides, schema)
        session.check_keys()
        if options.saved is not None:
            session.name = "saved"
            ConfigStore.instance().store(
                name="saved", node=_saved_primary(_main_config(schema), options.saved, overrides)
            )
        yield session
    except MissingConfigException as error:
        raise ConfigError(_missing_config(error, options)) from error
    except (HydraException, OmegaConfBaseException) as error:
        line = explain(error, schema)
        for override, setting in zip(lines, settings, strict=True):
            line = line.replace(override, setting)
        raise ConfigError(line) from error
    except ConfigError:
        raise
    except YAMLError as error:
        where = f"--config-dir {options.config_dir}"
        raise ConfigError(f"{where} has a file that is no YAML: {error_line(error)}") from error
    except (ValueError, RecursionError) as error:  # Hydra's, of a defaults list
        raise ConfigError(f"the configuration {name} cannot be composed: {error_line(error)}") from error
    finally:
        GlobalHydra.instance().clear()


@cache
def _store_schemas() -> None:
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(name="pairs_schema", node=PairsConfig)
    for sweep, kind in SWEEPS.items():
        store.store(group="schema/sweep", name=sweep, node=kind)


def _main_config(schema: type) -> str:
    return "config" if schema is Config else "pairs"


def _saved_primary(main: str, saved: Mapping[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    """A primary configuration: the values of an earlier run over the defaults, but for groups chosen now."""
    chosen = {
        o.key_or_group for o in overrides if is_group(o.key_or_group) and not isinstance(o.value(), dict)
    }
    if "experiment" in chosen:
        raise ConfigError(
            "experiment=… and config=… exclude each other: give one of them, then single settings"
        )
    values = {key: value for key, value in saved.items() if key not in chosen}
    sweep = sweep_option(values["sweep"]) if "sweep" in values else None
    return {"defaults": [main, *([{"override sweep": sweep}] if sweep else []), "_self_"], **values}


def quote_text(setting: str) -> str:
    """Quote a value that Hydra's grammar takes only in quotes, as it does paths with umlauts or quotation marks.

    Raises ConfigError for what is no setting. A value that begins as a list, a mapping or a quoted text stays as it is.
    """
    key, equals, value = setting.partition("=")
    if not equals and not setting.startswith("~"):
        raise ConfigError(f"{setting!r} is no setting: write key=value (see pairforge --help)")
    try:
        OverridesParser.create().parse_override(setting)
    except HydraException:
        if equals and value[:1] not in ("[", "{", "'", '"'):
            return f"{key}={QuotedString(value, Quote.single).with_quotes()}"
    return setting


def _missing_config(error: MissingConfigException, options: HydraOptions) -> str:
    """The line for a configuration that Hydra does not find: the primary one, or an option of a group."""
    missing = str(error.missing_cfg_file)
    if missing == options.config_name:
        if options.config_dir is None:
            return f"--config-name {missing} is no configuration of pairforge's own: give its folder, --config-dir DIR"
        names = [path.stem for path in Path(options.config_dir).glob("*.yaml")]
        return f"--config-name {missing}: {options.config_dir} has no {missing}.yaml{suggest_name(missing, names)}"
    group, _, choice = missing.rpartition("/")
    if error.options:
        return f"no option {choice!r} in group {group!r}: choose one of {', '.join(error.options)}"
    return f"no configuration {missing!r}; pairforge --info searchpath lists the folders"
