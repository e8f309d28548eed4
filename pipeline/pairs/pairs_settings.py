"""Resolves the settings of ``pairforge pairs``: checks them and makes paths absolute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

import miniworld
from conf.compose import ConfigError, compose_config
from conf.pairs import PairsConfig, WriterKind
from conf.schema import CaptionsKind
from pipeline.config import validate
from pipeline.config.resolve import absolute

LOADED = (WriterKind.transformers, WriterKind.vllm)
"""Writers whose model is a folder or a hub name."""


def read(settings: Sequence[str]) -> PairsConfig:
    """Compose, check and return the configuration. Raises ConfigError."""
    composed = compose_config(settings, lambda name: str(getattr(miniworld, name.upper())), PairsConfig)
    config: Any = OmegaConf.to_object(composed)
    problem = next(_problems(config), None)
    if problem:
        raise ConfigError(problem)
    checks = config.checks
    return replace(
        config,
        out=config.out if "://" in config.out else str(Path(config.out).absolute()),
        captions=replace(
            config.captions,
            path=absolute(config.captions.path),
            block_file=config.captions.block_file and absolute(config.captions.block_file),
        ),
        writer=replace(config.writer, model=_local(config), template=absolute(config.writer.template)),
        checks=replace(
            checks,
            model=absolute(checks.model),
            block_file=checks.block_file and absolute(checks.block_file),
            moderation=checks.moderation and absolute(checks.moderation),
        ),
    )


def _local(config: PairsConfig) -> str:
    model = config.writer.model
    return absolute(model) if config.writer.kind in LOADED else model


def _problems(config: PairsConfig) -> Iterator[str]:
    writer, checks = config.writer, config.checks
    yield from validate.check_minimums(
        (
            ("limit", config.limit, 1),
            ("edits", config.edits, 1),
            ("unit_pairs", config.unit_pairs, 1),
            ("writer.max_tokens", writer.max_tokens, 1),
            ("writer.rows", writer.rows, 1),
            ("writer.context", writer.context, 1),
            ("writer.concurrency", writer.concurrency, 1),
            ("writer.retries", writer.retries, 0),
            ("checks.instruction_words", checks.instruction_words, 1),
            ("sheet.pairs", config.sheet.pairs, 0),
        )
    )
    yield from validate.check_execution(config.out, config.cluster, config.tracker)
    if writer.temperature < 0:
        yield f"writer.temperature={writer.temperature:g} must be 0 or more"
    if not 0 < writer.top_p <= 1:
        yield f"writer.top_p={writer.top_p:g} must be over 0 and at most 1"
    if not 0 < writer.gpu_memory <= 1:
        yield f"writer.gpu_memory={writer.gpu_memory:g} must be over 0 and at most 1"
    for key, number in (("timeout", writer.timeout), ("requests_per_minute", writer.requests_per_minute)):
        if number is not None and number <= 0:
            yield f"writer.{key}={number:g} must be over 0"
    if checks.near_duplicate is not None and not 0 < checks.near_duplicate <= 1:
        yield f"checks.near_duplicate={checks.near_duplicate:g} must be over 0 and at most 1, or null"
    for key, share in (
        ("language_least", checks.language_least),
        ("moderation_most", checks.moderation_most),
    ):
        if not 0 <= share <= 1:
            yield f"checks.{key}={share:g} must be a probability, from 0 to 1"
    yield from validate.check_name("captions.kind", config.captions.kind, [*CaptionsKind])
    if config.captions.kind == CaptionsKind.from_captions:
        yield "captions=from_captions is for pairforge without pairs: pairforge captions=from_captions captions.path=…"
