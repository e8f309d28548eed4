"""Remembers what Hydra composes of the packaged files for a choice of groups, in this process.

Half of the time of many tests is spent on it otherwise. Everything that a command line sets one by one is still applied
by Hydra, each time. ``make test-all`` composes without it.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

PROVIDERS = {"hydra", "main", "schema"}
"""Of the sources that are the same in every test: those of a --config-dir are not."""

NAMES = {"config", "pairs"}


def install() -> None:
    """Replace the two slow steps of Hydra in this process."""
    create = config_loader_impl.create_defaults_list
    merge = ConfigLoaderImpl._compose_config_from_defaults_list
    lists = dict[tuple[Any, ...], DefaultsList]()
    merged = dict[int, DictConfig]()

    def create_once(
        repo: Any,
        config_name: str | None,
        overrides_list: list[Override],
        prepend_hydra: bool,
        skip_missing: bool,
    ) -> DefaultsList:
        if config_name not in NAMES or not {source.provider for source in repo.get_sources()} <= PROVIDERS:
            return create(repo, config_name, overrides_list, prepend_hydra, skip_missing)
        single = [override for override in overrides_list if not override.is_sweep_override()]
        groups = [
            override
            for override in single
            if repo.group_exists(override.key_or_group) and not isinstance(override.value(), dict)
        ]
        key = (config_name, *(override.input_line for override in groups), prepend_hydra, skip_missing)
        if key not in lists:
            lists[key] = create(repo, config_name, groups, prepend_hydra, skip_missing)
        others = [override for override in single if not any(override is group for group in groups)]
        return replace(lists[key], config_overrides=others)

    def merge_once(self: ConfigLoaderImpl, defaults: list[Any], repo: Any) -> DictConfig:
        if not any(defaults is known.defaults for known in lists.values()):
            return merge(self, defaults, repo)
        if id(defaults) not in merged:
            merged[id(defaults)] = merge(self, defaults, repo)
        return deepcopy(merged[id(defaults)])

    config_loader_impl.create_defaults_list = create_once
    ConfigLoaderImpl._compose_config_from_defaults_list = merge_once
