"""The configuration that an output was made with, as it stands in the output."""

from __future__ import annotations

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.compose import ConfigError, to_object
from conf.schema import Config, GridSweep, RandomSweep
from stages.store import Store

NAME = "run/config.yaml"


def write(store: Store, config: Config) -> None:
    store.write(NAME, OmegaConf.to_yaml(OmegaConf.structured(config)).encode())


def read(store: Store) -> Config:
    """The configuration, with ``out`` where the output lies now. Raises ConfigError if it is not there or not whole."""
    if not store.exists(NAME):
        raise ConfigError(f"{store.url} is not the output of a run: it has no {NAME}")
    try:
        kept = OmegaConf.create(store.read(NAME).decode())
        schema = OmegaConf.structured(Config)
        schema.sweep = OmegaConf.structured(GridSweep if "taus" in kept.sweep else RandomSweep)
        merged = OmegaConf.merge(schema, kept, {"out": store.url})
    except (OmegaConfBaseException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{store.path(NAME)} is no configuration of a run: {reason}") from error
    return to_object(merged)
