"""From the configuration to a writer."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from enum import Enum
from typing import Any

from conf.pairs import Writer as Settings
from conf.pairs import WriterKind
from stages.writers import few_shot_template
from stages.writers.base import Writer
from stages.writers.completion_format import CompletionFormat

_ASKING = ("ask", "format", "template", "temperature", "top_p", "max_tokens")
DECIDING: dict[WriterKind, tuple[str, ...]] = {
    WriterKind.grammar: (),
    WriterKind.transformers: ("model", "dtype", *_ASKING, "rows"),
    WriterKind.openai: ("model", *_ASKING, "structured"),
    WriterKind.vllm: ("model", "dtype", *_ASKING, "structured"),
}
"""The settings that an answer of each kind depends on. All others may change from one call to the next."""


def make(settings: Settings) -> Writer:
    """Load the writer. Raises WriterError."""
    format = CompletionFormat(settings.format.separator, settings.format.divider, settings.format.stop)
    if settings.kind is WriterKind.transformers:
        # Imported here: torch takes seconds, which other writers need not wait for.
        from stages.writers.transformers_writer import Sampling, TransformersWriter

        return TransformersWriter(
            settings.model,
            settings.revision,
            device=settings.device,
            dtype=settings.dtype.value,
            ask=settings.ask.value,
            format=format,
            template=settings.template,
            sampling=Sampling(settings.temperature, settings.top_p, settings.max_tokens),
            rows=settings.rows,
        )
    if settings.kind is WriterKind.openai:
        from stages.writers.openai_writer import OpenAIWriter

        return OpenAIWriter(settings, format)
    if settings.kind is WriterKind.vllm:
        from stages.writers.vllm_writer import VllmWriter

        return VllmWriter(settings, format)
    from stages.writers.grammar_writer import GrammarWriter

    return GrammarWriter()


def identify(settings: Settings) -> str:
    """Who writes: what a local model's folder holds, a hub name's commit, the name that an endpoint knows.

    Raises WriterError for a model that is not there.
    """
    if settings.kind in (WriterKind.transformers, WriterKind.vllm):
        from stages.writers.transformers_writer import identify as of_model

        return of_model(settings.model, settings.revision)
    return settings.model or settings.kind.value


def deciding(settings: Settings) -> dict[str, Any]:
    """What an answer depends on beside the model, by name; of a template the SHA-256 of its text.

    Raises WriterError for a template that is not there or cannot be used.
    """
    told: dict[str, Any] = {"kind": settings.kind.value}
    for name in DECIDING[settings.kind]:
        value = getattr(settings, name)
        if name == "template":
            few_shot_template.load(value)
            told[name] = hashlib.sha256(few_shot_template.text_of(value).encode()).hexdigest()
        elif name == "format":
            told.update({f"format.{mark}": text for mark, text in asdict(value).items()})
        elif name != "model":
            told[name] = value.value if isinstance(value, Enum) else value
    return told
