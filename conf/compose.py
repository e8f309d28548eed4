"""Reads the settings of the command line: composes the configuration of a run, or fills the dataclass of a command."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from conf.bounds import out_of_bounds
from conf.hydra_options import NO_OPTIONS, HydraOptions
from conf.messages import error_line, nearest_names, suggest_name
from conf.pairs import PairsConfig
from conf.schema import Config
from conf.setting_keys import is_group, known_keys
from conf.sweeps import SWEEPS, sweep_option

VERBOSE = "hydra.verbose"
"""The one key of Hydra's own that is taken."""


class ConfigError(ValueError):
    """An invalid setting. The message is one line that names the key and the fix."""


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
    with _session(settings, miniworld, schema, options) as session:
        config = session.hydra.get_sanitized_cfg(session.compose(), "job")
        _check_missing(config)
        OmegaConf.resolve(config)
    return config


def describe(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> str:
    """Return the YAML that ``--cfg`` asks for. Raises ConfigError as ``compose_config``, but not for missing values."""
    with _session(settings, miniworld, schema, options) as session:
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
    with _session(settings, miniworld, schema, options) as session:
        session.compose()  # Hydra itself would end the process at an error.
        session.hydra.show_info(options.info or "all", session.name, session.lines())


def expand_sweep(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> tuple[list[str], list[list[str]]]:
    """Return the keys with several values, and the settings of each combination. Raises ConfigError.

    The combinations are those of Hydra's basic sweeper: the values of the last key change fastest.
    """
    with _session(settings, miniworld, schema, options) as session:
        (combinations,) = BasicSweeper.split_arguments(session.overrides, max_batch_size=None)
        last = {override.get_key_element(): override for override in session.overrides}
        return [key for key, override in last.items() if override.is_sweep_override()], combinations


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
            if override.type is not OverrideType.CHANGE:
                raise ConfigError(f"{setting!r} is no setting of this command: write key=value")
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


@dataclass
class _Session:
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
                raise ConfigError(_unknown_key(key, known))


@contextmanager
def _session(
    settings: Sequence[str], miniworld: Callable[[str], str], schema: type, options: HydraOptions
) -> Iterator[_Session]:
    """Open Hydra for a command line. Errors of Hydra, of OmegaConf and of YAML become ConfigErrors."""
    OmegaConf.register_new_resolver("miniworld", miniworld, replace=True)
    OmegaConf.register_new_resolver("times", lambda *factors: math.prod(factors), replace=True)
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(name="pairs_schema", node=PairsConfig)
    for sweep, kind in SWEEPS.items():
        store.store(group="schema/sweep", name=sweep, node=kind)
    search_path = create_config_search_path("pkg://conf")
    if options.config_dir is not None:
        folder = Path(options.config_dir).absolute()
        if not folder.is_dir():
            raise ConfigError(f"--config-dir {options.config_dir} is no folder")
        search_path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    lines = [_quote_text(setting) for setting in settings]
    name = options.config_name or _main_config(schema)
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("pairforge", search_path)
        overrides = OverridesParser.create(hydra.config_loader).parse_overrides(lines)
        session = _Session(hydra, name, overrides, schema)
        session.check_keys()
        if options.saved is not None:
            session.name = "saved"
            store.store(name="saved", node=_saved_primary(_main_config(schema), options.saved, overrides))
        yield session
    except MissingConfigException as error:
        raise ConfigError(_missing_config(error, options)) from error
    except (HydraException, OmegaConfBaseException) as error:
        line = _explain(error, schema)
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


def _quote_text(setting: str) -> str:
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


def _check_missing(config: DictConfig | ListConfig, hint: str = "") -> None:
    for key in sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{key} has no value: give {key}=…{hint}")


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


def _explain(error: Exception, schema: type = Config) -> str:
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
        return f"{in_file[1]}.yaml: {_unknown_key(in_file[2], known_keys(schema))}"
    if unknown:
        key, field = unknown[1], getattr(cause, "key", None)
        if isinstance(field, str) and field not in key.split("."):
            names = list(getattr(cause, "object_type", Config).__dataclass_fields__)
            return f"{key} has an unknown field {field!r}{suggest_name(field, names)}: it takes {', '.join(names)}"
        if key in known_keys(schema):
            return f"{key} belongs to another option of its group; pairforge --cfg job shows the chosen one's"
        return _unknown_key(key, known_keys(schema))
    empty = re.search(r"Missing mandatory value: (\S+)", chain[-1])
    if empty:
        return f"{empty[1]} has no value: give {empty[1]}=…"
    reason = " ".join(chain[-1].split("full_key:")[0].split())
    key = re.search(r"full_key: (\S+)", chain[-1])
    setting = re.search(r"Error merging override (\S+)", chain[0])
    name = setting[1] if setting else key[1] if key else ""
    return f"{name}: {reason}" if name else reason


def _unknown_key(key: str, known: Sequence[str]) -> str:
    return f"unknown key {key!r}{_suggest_keys(key, known)}; pairforge --cfg job shows every key"


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
