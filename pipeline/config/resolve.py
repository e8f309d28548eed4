"""Resolves the settings of a run that makes images: checks them and makes paths absolute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from omegaconf import DictConfig

import miniworld
from conf.compose import ConfigError, compose_config, to_object
from conf.schema import CaptionsKind, Config, EditMethod, Keep, SamplerName
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep
from pipeline.config import validate


def compose(settings: Sequence[str]) -> DictConfig:
    """Compose the configuration of the command line's settings. Raises ConfigError."""
    return compose_config(settings, lambda name: str(getattr(miniworld, name.upper())))


def checked(composed: DictConfig) -> Config:
    """Return the schema's objects with absolute local paths. Raises ConfigError for an invalid value."""
    config = to_object(composed)
    problem = next(_problems(config), None)
    if problem:
        raise ConfigError(problem)
    name, pretrained, small = config.filter.name, config.filter.pretrained, config.model.scoring_decoder
    if name.startswith("local-dir:"):
        name = "local-dir:" + absolute(name.removeprefix("local-dir:"))
    return replace(
        config,
        out=config.out if "://" in config.out else str(Path(config.out).absolute()),
        captions=replace(
            config.captions,
            path=absolute(config.captions.path),
            block_file=config.captions.block_file and absolute(config.captions.block_file),
        ),
        model=replace(
            config.model, path=absolute(config.model.path), scoring_decoder=small and absolute(small)
        ),
        filter=replace(
            config.filter,
            name=name,
            pretrained=pretrained and absolute(pretrained),
            measures=[
                replace(measure, model=measure.model and absolute(measure.model))
                for measure in config.filter.measures
            ],
        ),
    )


def absolute(path: str) -> str:
    """Make the path absolute if it exists. Anything else may be a hub name and stays as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path


def _problems(config: Config) -> Iterator[str]:
    yield from validate.check_minimums(
        (
            ("limit", config.limit, 1),
            ("unit_pairs", config.unit_pairs, 1),
            ("sampler.steps", config.sampler.steps, 1),
            ("filter.max_per_pair", config.filter.max_per_pair, 1),
            ("filter.near_duplicate", config.filter.near_duplicate, 0),
            ("shards.samples", config.shards.samples, 1),
            ("sheet.pairs", config.sheet.pairs, 0),
            ("sheet.attention", config.sheet.attention, 0),
        )
    )
    yield from validate.check_execution(config.out, config.cluster, config.tracker)
    yield from validate.check_name("captions.kind", config.captions.kind, [*CaptionsKind])
    yield from validate.check_name("sampler.name", config.sampler.name, [*SamplerName])
    if config.captions.kind == CaptionsKind.from_captions:
        yield (
            "captions=from_captions works for a run alone: write the caption pairs with pairforge pairs, "
            "and give their file as captions.path=…"
        )
    if not 1 <= config.shards.quality <= 100:
        yield f"shards.quality={config.shards.quality} must be from 1 to 100"
    if config.keep is Keep["all-images"] and config.model.scoring_decoder:
        yield (
            "keep=all-images would store the images of model.scoring_decoder, which are not meant as data: "
            "give model.scoring_decoder=null or keep=kept"
        )
    interval = config.sampler.guidance_interval
    if interval is not None and not (len(interval) == 2 and 0 <= interval[0] < interval[1]):
        yield f"sampler.guidance_interval={interval} must be two noise levels that rise from 0, like [0.3,5.0]"
    if config.early.at is not None and not 0 < config.early.at < 1:
        yield f"early.at={config.early.at:g} must be a share of the steps between 0 and 1, or null for never"
    for name, value in asdict(config.early).items():
        if name != "at" and not value >= 0:
            yield f"early.{name}={value:g} must be 0 or more"
    yield from _sweep_problems(config.sweep)
    if isinstance(config.sweep, AdaptiveSweep) and config.edit.method is not EditMethod.p2p:
        yield f"edit.method={config.edit.method.value} has no tau to adapt: give sweep=grid"


def _sweep_problems(sweep: object) -> Iterator[str]:
    if isinstance(sweep, GridSweep):
        if sweep.seeds < 1:
            yield f"sweep.seeds={sweep.seeds} must be 1 or more"
        if not sweep.taus or len(set(sweep.taus)) < len(sweep.taus):
            yield f"sweep.taus={sweep.taus} must be one or more values, each once"
        if not all(0 <= tau <= 1 for tau in sweep.taus):
            yield f"sweep.taus={sweep.taus} must lie from 0 to 1"
    if isinstance(sweep, RandomSweep):
        if sweep.samples < 1:
            yield f"sweep.samples={sweep.samples} must be 1 or more"
        if not 0 <= sweep.tau_min <= sweep.tau_max <= 1:
            yield f"sweep.tau_min={sweep.tau_min} and sweep.tau_max={sweep.tau_max} must rise, from 0 to 1"
        if sweep.guidance_min > sweep.guidance_max:
            yield "sweep.guidance_min must not be over sweep.guidance_max"
    if isinstance(sweep, AdaptiveSweep):
        yield from _adaptive_problems(sweep)


def _adaptive_problems(sweep: AdaptiveSweep) -> Iterator[str]:
    if (
        not sweep.taus
        or len(set(sweep.taus)) < len(sweep.taus)
        or not all(0 <= tau <= 1 for tau in sweep.taus)
    ):
        yield f"sweep.taus={sweep.taus} must be one or more values from 0 to 1, each once"
    if len(sweep.prior) != len(sweep.taus) or not all(0 <= chance <= 1 for chance in sweep.prior):
        yield f"sweep.prior={sweep.prior} must be a chance from 0 to 1 for each of the {len(sweep.taus)} sweep.taus"
    for entry in sweep.priors:
        if len(entry.prior) != len(sweep.taus) or not all(0 <= chance <= 1 for chance in entry.prior):
            yield f"sweep.priors: {entry.kind}'s {entry.prior} must be a chance from 0 to 1 for each of {sweep.taus}"
    for name in ("seeds", "taus_per_seed", "aim_seeds", "patience"):
        if getattr(sweep, name) < 1:
            yield f"sweep.{name}={getattr(sweep, name)} must be 1 or more"
    for name in ("apart", "aim", "lack", "bisections"):
        if not getattr(sweep, name) >= 0:
            yield f"sweep.{name}={getattr(sweep, name):g} must be 0 or more"
    for name in ("prior_seeds", "reach", "bracket"):
        if not getattr(sweep, name) > 0:
            yield f"sweep.{name}={getattr(sweep, name):g} must be over 0"
