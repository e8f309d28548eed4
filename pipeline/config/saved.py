"""Writes and reads the configuration in an output, run/config.yaml."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from conf.compose import ConfigError, to_object
from conf.messages import error_line
from conf.pairs import PairsConfig, Settings
from conf.schema import Config
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep, Sweep
from stages.storage.store import Store

NAME = "run/config.yaml"


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
            schema.sweep = OmegaConf.structured(_sweep_schema(kept.sweep))
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


def _sweep_schema(sweep: DictConfig) -> type[Sweep]:
    """The schema of a saved sweep, told by its keys."""
    if "prior" in sweep:
        return AdaptiveSweep
    return GridSweep if "taus" in sweep else RandomSweep
