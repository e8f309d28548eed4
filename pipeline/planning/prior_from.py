"""``sweep.prior_from=OUT``: what an earlier output says of each kind of edit, frozen when a run is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from conf.either import Settings
from conf.schema import Config
from conf.sweeps import AdaptiveSweep
from pipeline.config import saved
from stages.storage.store import Store

C = TypeVar("C", bound=Settings)


def frozen(config: C, store: Store) -> C:
    """The configuration with the priors of its ``sweep.prior_from`` in it, as it is if it has none.

    An output that was planned with this prior_from keeps what was learnt then, whatever has become of it since.

    Raises:
        ConfigError: an output that another CLIP scored, or without a candidate.
        PlanError: what is not the output of a run.
    """
    if not (
        isinstance(config, Config) and isinstance(config.sweep, AdaptiveSweep) and config.sweep.prior_from
    ):
        return config
    planned = saved.of_samples(store).sweep if store.exists(saved.NAME) else None
    if isinstance(planned, AdaptiveSweep) and planned.prior_from == config.sweep.prior_from:
        priors = planned.priors
    else:
        # Imported here: who learns nothing need not wait for what reads an output.
        from pipeline.planning.learned_priors import learnt_from

        priors = learnt_from(config.sweep.prior_from, config.filter, config.sweep)
    return replace(config, sweep=replace(config.sweep, priors=priors))
