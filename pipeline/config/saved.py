"""Writes and reads the configuration in an output, run/config.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from conf.compose import to_object
from conf.config_errors import ConfigError
from conf.hydra_options import HydraOptions
from conf.messages import error_line
from conf.pairs import PairsConfig, Settings
from conf.schema import Config
from conf.sweeps import SWEEPS, sweep_option
from stages.storage.store import Store

NAME = "run/config.yaml"
SETTING = "config="
"""The setting that names the configuration of an earlier run."""


def write(store: Store, config: Settings) -> None:
    store.write(NAME, OmegaConf.to_yaml(OmegaConf.structured(config)).encode())


def read(store: Store) -> Settings:
    """Read the configuration, with the output's present place as ``out``. Raises ConfigError if missing or damaged."""
    if not store.exists(NAME):
        raise ConfigError(f"{store.url} is not the output of a run: it has no {NAME}")
    try:
        kept = OmegaConf.create(store.read(NAME).decode())
        schema = OmegaConf.structured(PairsConfig if "writer" in kept else Config)
        if "sweep" in kept:
            schema.sweep = OmegaConf.structured(SWEEPS[sweep_option(kept.sweep) or "grid"])
        merged = OmegaConf.merge(schema, kept, {"out": store.url})
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise ConfigError(f"{store.path(NAME)} is no configuration of a run: {error_line(error)}") from error
    return to_object(merged)


def read_image_config(store: Store) -> Config:
    """``read``, for an output of images. Raises ConfigError for one of caption pairs."""
    config = read(store)
    if not isinstance(config, Config):
        raise ConfigError(
            f"{store.url} holds caption pairs, and this command needs images: give the output of another run"
        )
    return config


def take_saved(
    settings: Sequence[str], options: HydraOptions, schema: type = Config
) -> tuple[list[str], HydraOptions]:
    """Take ``config=FILE`` from the settings, and its values into the options. Raises ConfigError."""
    files = [setting.removeprefix(SETTING) for setting in settings if setting.startswith(SETTING)]
    if not files:
        return list(settings), options
    if options.config_name:
        raise ConfigError("config=FILE and --config-name exclude each other: give one of them")
    others = [setting for setting in settings if not setting.startswith(SETTING)]
    return others, replace(options, saved=_read_values(files[-1], schema))


def _read_values(file: str, schema: type) -> dict[str, Any]:
    """Read the values of a saved configuration. Its output is the folder that holds it, if it lies in one."""
    place = file if "://" in file else str(Path(file).absolute())
    folder, _, name = place.rpartition("/")
    try:
        values = OmegaConf.to_container(OmegaConf.create(Store(folder).read(name).decode()))
    except OSError as error:
        raise ConfigError(f"config={file} cannot be read: {error.strerror or error_line(error)}") from error
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise ConfigError(f"config={file} is no configuration of a run: {error_line(error)}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config={file} is no configuration of a run: it holds no keys with values")
    if "defaults" in values:
        raise ConfigError(
            f"config={file} has a defaults list: give it as --config-dir FOLDER --config-name {Path(name).stem}"
        )
    if ("writer" in values) is (schema is Config):
        kind, command = ("pairforge pairs", "pairforge pairs") if schema is Config else ("a run", "pairforge")
        raise ConfigError(f"config={file} holds the settings of {kind}: {command} config={file}")
    if place.endswith(f"/{NAME}"):
        values["out"] = place.removesuffix(f"/{NAME}")
    return {str(key): value for key, value in values.items()}
