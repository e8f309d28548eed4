"""What the plan of ``pairforge pairs`` is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import p2p
from conf.pairs import Checks, PairsConfig
from p2p.families.family_plugin import family_digest
from pipeline.planning.caption_input import digest_of_files, read_by
from pipeline.planning.run_fingerprint import FORMAT, Models
from stages.captions import phrases
from stages.captions.examined import Examined
from stages.writers import factory
from stages.writers.base import WriterError
from stages.writers.language_id import Language

_APART = ("model", "revision", "family", "block", "block_file", "moderation", "moderation_revision")


def read(config: PairsConfig) -> Iterator[Examined]:
    """The captions in their order, as pairs without instruction and output, and what is set aside.

    Raises CaptionsError and p2p.ModelError.
    """
    checks = config.checks
    prompts = checks.model, checks.revision, checks.family
    return read_by(config.captions, config.limit, prompts, alone=True)


def source_digest(config: PairsConfig) -> str:
    """As ``pipeline.planning.caption_input.source_digest`` has it."""
    return digest_of_files(config.captions, [config.limit, asdict(config.captions.fields), "alone"])


def identify(config: PairsConfig) -> Models:
    """Of the writer, and in the place of CLIP of the image model whose tokenizer checks.

    Raises WriterError and p2p.ModelError.
    """
    checks = config.checks
    return Models(factory.identify(config.writer), p2p.fingerprint(checks.model, checks.revision))


def settings_of(config: PairsConfig, captions_sha256: str, models: Models) -> dict[str, Any]:
    """Every setting that changes results, by its dotted name. Files and models enter by what they hold.

    Raises WriterError, CaptionsError and p2p.ModelError for what is not there, WriterError for an unknown language.
    """
    checks = config.checks
    if checks.language:
        Language(checks.language, checks.language_least)
    settings: dict[str, Any] = {
        "format": FORMAT,
        "task": "pairs",
        "seed": config.seed,
        "edits": config.edits,
        "file": config.file.value,
        "unit_pairs": config.unit_pairs,
        "stage": config.stage,
        "captions": captions_sha256,
        "captions.block": list(phrases(config.captions.block, config.captions.block_file)),
        "model.fingerprint": models.generator,
        **{f"writer.{name}": value for name, value in factory.deciding(config.writer).items()},
        **{f"checks.{name}": value for name, value in asdict(checks).items() if name not in _APART},
        "checks.model": models.clip,
        "checks.block": list(phrases(checks.block, checks.block_file, "checks")),
        "checks.moderation": _moderation(checks),
    }
    if checks.family:
        settings["checks.family"] = checks.family
        settings["checks.family.source"] = family_digest(checks.family)
    return settings


def _moderation(checks: Checks) -> str | None:
    if checks.moderation is None:
        return None
    try:
        return p2p.fingerprint(checks.moderation, checks.moderation_revision)
    except p2p.ModelError as error:
        raise WriterError(f"checks.moderation={error}") from error
