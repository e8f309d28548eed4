"""Makes the Prompt-to-Prompt requests of a caption pair: seeds, τ and guidance, from the pair alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

import p2p
from conf.schema import Config, EditMethod, Inversion
from conf.sweeps import GridSweep, RandomSweep
from stages.records import CaptionPair


def make_requests(
    pair: CaptionPair, config: Config, image: NDArray[np.uint8] | None = None
) -> tuple[p2p.SweepRequest, ...]:
    """One request for each sample index, each with every τ of that sample.

    For grid and random sweeps. ``stages.candidates.adaptive_rounds`` makes the requests of an adaptive sweep. ``image``
    is the pair's, uint8 (H, W, 3) of the model's size, or None.
    """
    sweep = config.sweep
    if isinstance(sweep, GridSweep):
        taus, guidance = tuple(sweep.taus), config.sampler.guidance
        seeds = count_seeds(pair, config, sweep.seeds)
        return tuple(make_request(pair, config, index, taus, guidance, image) for index in range(seeds))
    assert isinstance(sweep, RandomSweep)
    requests = []
    for index in range(sweep.samples):
        tau = _draw(config.seed, pair.id, index, "tau", sweep.tau_min, sweep.tau_max)
        guidance = _draw(config.seed, pair.id, index, "guidance", sweep.guidance_min, sweep.guidance_max)
        requests.append(make_request(pair, config, index, (tau,), guidance, image))
    return tuple(requests)


def count_seeds(pair: CaptionPair, config: Config, seeds: int) -> int:
    """The number of seeds that make different edits of a pair: one for an image whose inversion draws no noise."""
    draws_noise = config.edit.method is not EditMethod.p2p or config.edit.inversion is Inversion.rf_inversion
    return 1 if pair.image and not draws_noise else seeds


def make_request(
    pair: CaptionPair,
    config: Config,
    index: int,
    taus: tuple[float, ...],
    guidance: float,
    image: NDArray[np.uint8] | None = None,
) -> p2p.SweepRequest:
    """The request of sample ``index`` at ``taus``. The pair's options override the settings."""
    method, interval = config.edit.method, config.sampler.guidance_interval
    request = p2p.SweepRequest(
        source=pair.input,
        target=pair.output,
        # The method same_seed injects nothing: it makes one image, whose p2p_threshold is 0.
        taus=(0.0,) if method is EditMethod.same_seed else taus,
        seed=derive_seed(config.seed, pair.id, index),
        steps=config.sampler.steps,
        guidance_scale=guidance,
        sampler=config.sampler.name,
        guidance_interval=None if interval is None else (interval[0], interval[1]),
        cross_gain=config.edit.cross_gain,
        self_gain=config.edit.self_gain,
        edit=config.edit.kind.value,
        inject_unconditional=config.edit.inject_unconditional,
        method=method.value,
        too_long=config.edit.too_long.value,
        pooled=config.edit.pooled.value,
        rounding=config.edit.rounding.value,
        negative_prompt=config.sampler.negative_prompt,
        spacing=config.sampler.spacing and config.sampler.spacing.value,
        self_max_size=config.edit.self_max_size,
        start=config.edit.start or 0.0,
        self_tau=config.edit.self_tau,
    )
    if image is not None:
        request = replace(request, image=image, inversion=inversion_name(config))
    return replace(request, **json.loads(pair.options)) if pair.options else request


def inversion_name(config: Config) -> str:
    """The inversion of caption pairs with an image."""
    return (config.edit.inversion or Inversion.direct).value


def derive_seed(run_seed: int, pair_id: str, index: int) -> int:
    """The seed of sample ``index``, in [0, 2³²), from SHA-256: the same on every machine."""
    return int.from_bytes(_digest(run_seed, pair_id, index, "seed")[:4])


def _draw(run_seed: int, pair_id: str, index: int, name: str, low: float, high: float) -> float:
    fraction = int.from_bytes(_digest(run_seed, pair_id, index, name)[:8]) / 2**64
    # Rounded to six digits, so that the metadata holds exactly the value that was used.
    return round(low + (high - low) * fraction, 6)


def _digest(run_seed: int, pair_id: str, index: int, name: str) -> bytes:
    return hashlib.sha256(f"{run_seed}:{pair_id}:{index}:{name}".encode()).digest()
