"""From a caption pair to what Prompt-to-Prompt is asked for: seeds, τ and guidance from the pair alone."""

from __future__ import annotations

import hashlib

import p2p
from conf.schema import Config, EditMethod
from conf.sweeps import GridSweep, RandomSweep
from stages.records import CaptionPair


def seed_of(run_seed: int, pair_id: str, sample_index: int) -> int:
    """The seed of a sample, in [0, 2³²): SHA-256 of (run seed, pair id, sample index), whoever computes it."""
    return int.from_bytes(_digest(run_seed, pair_id, sample_index, "seed")[:4])


def requests(pair: CaptionPair, config: Config) -> list[p2p.SweepRequest]:
    """One request a sample, in the order of the sample index. Each holds every τ of that sample.

    For the sweeps that are known beforehand: one that adapts goes by ``stages.candidates.adaptive_rounds``.
    """
    sweep = config.sweep
    if isinstance(sweep, GridSweep):
        return [
            request(pair, config, index, tuple(sweep.taus), config.sampler.guidance)
            for index in range(sweep.seeds)
        ]
    assert isinstance(sweep, RandomSweep)
    drawn = []
    for index in range(sweep.samples):
        tau = _uniform(config.seed, pair.id, index, "tau", sweep.tau_min, sweep.tau_max)
        guidance = _uniform(config.seed, pair.id, index, "guidance", sweep.guidance_min, sweep.guidance_max)
        drawn.append(request(pair, config, index, (tau,), guidance))
    return drawn


def request(
    pair: CaptionPair, config: Config, index: int, taus: tuple[float, ...], guidance: float
) -> p2p.SweepRequest:
    """What is asked for of one sample, at some τ."""
    method, interval = config.edit.method, config.sampler.guidance_interval
    return p2p.SweepRequest(
        source=pair.input,
        target=pair.output,
        # Nothing is injected with the same seed alone: one image, and a p2p_threshold of 0 says what it is.
        taus=(0.0,) if method is EditMethod.same_seed else taus,
        seed=seed_of(config.seed, pair.id, index),
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
    )


def _uniform(run_seed: int, pair_id: str, index: int, name: str, low: float, high: float) -> float:
    fraction = int.from_bytes(_digest(run_seed, pair_id, index, name)[:8]) / 2**64
    # Six digits: what the metadata shows is what was used, to the last bit.
    return round(low + (high - low) * fraction, 6)


def _digest(run_seed: int, pair_id: str, index: int, name: str) -> bytes:
    return hashlib.sha256(f"{run_seed}:{pair_id}:{index}:{name}".encode()).digest()
