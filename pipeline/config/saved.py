"""The configuration that an output was made with, as it stands in the output."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.compose import ConfigError, to_object
from conf.either import Settings, schema_of
from conf.messages import error_line
from conf.schema import Config
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep, Sweep
from stages.storage.store import Store

NAME = "run/config.yaml"


def write(store: Store, config: Settings) -> None:
    store.write(NAME, OmegaConf.to_yaml(OmegaConf.structured(config)).encode())


def read(store: Store) -> Settings:
    """The configuration, with ``out`` where the output lies now. Raises ConfigError if it is not there or not whole."""
    if not store.exists(NAME):
        raise ConfigError(f"{store.url} is not the output of a run: it has no {NAME}")
    try:
        kept = OmegaConf.create(store.read(NAME).decode())
        schema = OmegaConf.structured(schema_of(kept))
        if "sweep" in kept:
            schema.sweep = OmegaConf.structured(_kind(kept.sweep))
        merged = OmegaConf.merge(schema, kept, {"out": store.url})
    except (OmegaConfBaseException, ValueError) as error:
        reason = error_line(error)
        raise ConfigError(f"{store.path(NAME)} is no configuration of a run: {reason}") from error
    return to_object(merged)


def read_image_config(store: Store) -> Config:
    """``read``, for an output of images. Raises ConfigError for one of caption pairs."""
    config = read(store)
    if not isinstance(config, Config):
        raise ConfigError(
            f"{store.url} holds caption pairs, and this is for images: give the output of a run that makes them"
        )
    return config


def _kind(sweep: DictConfig) -> type[Sweep]:
    """The sweep's schema, by a key that it alone has, or has not."""
    if "prior" in sweep:
        return AdaptiveSweep
    return GridSweep if "taus" in sweep else RandomSweep
