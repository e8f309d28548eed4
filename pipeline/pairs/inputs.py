"""What the plan of ``pairforge pairs`` is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from enum import Enum
from typing import Any

import p2p
from conf.pairs import PairsConfig
from pipeline.fingerprint import FORMAT, Models
from pipeline.reading import caption_source, digest_of_files
from stages.captions import phrases
from stages.read import read_pairs
from stages.records import CaptionPair, Quarantined
from stages.writers import making


def read(config: PairsConfig) -> Iterator[list[CaptionPair | Quarantined]]:
    """The captions in their order, as pairs without instruction and output, and what is set aside.

    Raises CaptionsError and p2p.ModelError.
    """
    prompts = p2p.load_prompts(config.checks.model, config.checks.revision)
    captions = config.captions
    return read_pairs(
        caption_source(captions, config.limit, alone=True),
        prompts.count,
        prompts.limit,
        phrases(captions.block, captions.block_file),
    )


def source_digest(config: PairsConfig) -> str:
    """As ``pipeline.reading.source_digest`` has it."""
    return digest_of_files(config.captions, [config.limit, asdict(config.captions.fields), "alone"])


def identify(config: PairsConfig) -> Models:
    """Of the writer, and in the place of CLIP of the image model whose tokenizer checks.

    Raises WriterError and p2p.ModelError.
    """
    checks = config.checks
    return Models(making.fingerprint(config.writer), p2p.fingerprint(checks.model, checks.revision))


def settings_of(config: PairsConfig, captions_sha256: str, models: Models) -> dict[str, Any]:
    """Every setting that changes results, by its dotted name."""
    settings: dict[str, Any] = {
        "format": FORMAT,
        "task": "pairs",
        "seed": config.seed,
        "edits": config.edits,
        "unit_pairs": config.unit_pairs,
        "stage": config.stage,
        "captions": captions_sha256,
        "model.fingerprint": models.generator,
        "checks.model": models.clip,
    }
    # The writer's own fingerprint holds these; by name they tell what differs.
    for name in ("kind", "ask", "temperature", "top_p", "max_tokens", "rows", "template", "structured"):
        settings[f"writer.{name}"] = _plain(getattr(config.writer, name))
    for name, value in asdict(config.checks).items():
        if name not in ("model", "revision"):
            settings[f"checks.{name}"] = value
    return settings


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
