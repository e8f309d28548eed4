"""Resolves the settings of a run: composes them, checks them and makes local paths absolute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig

import miniworld
from conf.compose import compose_config, describe, expand_sweep, print_info, to_object
from conf.config_errors import ConfigError
from conf.hydra_options import NO_OPTIONS, HydraOptions
from conf.pairs import LOADED_WRITERS, PairsConfig, Settings
from conf.schema import Config
from pipeline.config import validate

LOCAL_CLIP = "local-dir:"

Run = TypeVar("Run", bound=Settings)


def compose(settings: Sequence[str], schema: type = Config, options: HydraOptions = NO_OPTIONS) -> DictConfig:
    """Compose the configuration of the command line's settings. Raises ConfigError."""
    return compose_config(settings, _miniworld, schema, options)


def print_instead(settings: Sequence[str], options: HydraOptions, schema: type = Config) -> bool:
    """Print what ``--cfg`` or ``--info`` asks for, and return whether one does. Raises ConfigError."""
    check_options(options)
    if options.cfg:
        print(describe(settings, _miniworld, schema, options), end="")
    elif options.info:
        print_info(settings, _miniworld, schema, options)
    return bool(options.cfg or options.info)


def check_options(options: HydraOptions) -> None:
    """Raise ConfigError for options that exclude or need each other."""
    if (options.cfg is not None) + (options.info is not None) + options.multirun > 1:
        raise ConfigError("--cfg, --info and --multirun exclude each other: give one of them")
    if (options.package or options.resolve) and not options.cfg:
        raise ConfigError("--package and --resolve belong to --cfg: add --cfg job")


def expand(
    settings: Sequence[str], options: HydraOptions, schema: type = Config
) -> tuple[list[str], list[list[str]]]:
    """Return the keys of a sweep and the settings of each of its runs. Raises ConfigError."""
    return expand_sweep(settings, _miniworld, schema, options)


def checked(composed: DictConfig) -> Config:
    """Return the schema's objects with absolute local paths. Raises ConfigError for an invalid value."""
    return _resolve(to_object(composed))


def read_pairs_settings(settings: Sequence[str], options: HydraOptions = NO_OPTIONS) -> PairsConfig:
    """Return the configuration of ``pairforge pairs``. Raises ConfigError."""
    config: Any = to_object(compose(settings, PairsConfig, options))
    return _resolve(config)


def _miniworld(name: str) -> str:
    return str(getattr(miniworld, name.upper()))


def _resolve(config: Run) -> Run:
    for problem in validate.find_problems(config):
        raise ConfigError(problem)
    paths: list[tuple[object, str]] = [
        (config.captions, "path"),
        (config.captions, "block_file"),
        (config.captions, "images"),
    ]
    if isinstance(config, PairsConfig):
        paths += [(config.checks, name) for name in ("model", "block_file", "moderation")]
        paths.append((config.writer, "template"))
        if config.writer.kind in LOADED_WRITERS:
            paths.append((config.writer, "model"))
    else:
        paths += [(config.model, "path"), (config.model, "scoring_decoder"), (config.filter, "pretrained")]
        paths += [(measure, "model") for measure in config.filter.measures]
        clip = config.filter.name
        if clip.startswith(LOCAL_CLIP):
            config.filter.name = LOCAL_CLIP + _absolute(clip.removeprefix(LOCAL_CLIP))
    for section, name in paths:
        path = getattr(section, name)
        setattr(section, name, path and _absolute(path))
    if "://" not in config.out:
        config.out = str(Path(config.out).absolute())
    return config


def _absolute(path: str) -> str:
    """Make the path absolute if it exists. Anything else may be a hub name and stays as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path
