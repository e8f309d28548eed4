"""Makes the configured writer, and lists the settings that its answers depend on."""

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

_PROMPTS = ("ask", "format", "template", "temperature", "top_p", "max_tokens")
RESULT_SETTINGS: dict[WriterKind, tuple[str, ...]] = {
    WriterKind.grammar: (),
    WriterKind.transformers: ("model", "dtype", *_PROMPTS, "rows"),
    WriterKind.openai: ("model", *_PROMPTS, "structured"),
    WriterKind.vllm: ("model", "dtype", *_PROMPTS, "structured"),
}
"""The settings that the answers of each kind of writer depend on. All others may change between calls."""


def make(settings: Settings) -> Writer:
    """Loads the writer. Raises WriterError."""
    format = CompletionFormat(settings.format.separator, settings.format.divider, settings.format.stop)
    if settings.kind is WriterKind.transformers:
        # Imported here: torch takes seconds to load, and other writers do not need it.
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
    """Returns the digest of a local model, the commit of a hub model, or the name of a model behind an endpoint.

    Raises WriterError for a missing model.
    """
    if settings.kind in (WriterKind.transformers, WriterKind.vllm):
        from stages.writers.transformers_writer import identify as identify_model

        return identify_model(settings.model, settings.revision)
    return settings.model or settings.kind.value


def result_settings(settings: Settings) -> dict[str, Any]:
    """Returns the settings that an answer depends on besides the model; for a template the SHA-256 of its text.

    Raises WriterError for a template that is missing or invalid.
    """
    result: dict[str, Any] = {"kind": settings.kind.value}
    for name in RESULT_SETTINGS[settings.kind]:
        value = getattr(settings, name)
        if name == "template":
            few_shot_template.load_template(value)
            result[name] = hashlib.sha256(few_shot_template.read_template(value).encode()).hexdigest()
        elif name == "format":
            result.update({f"format.{mark}": text for mark, text in asdict(value).items()})
        elif name != "model":
            result[name] = value.value if isinstance(value, Enum) else value
    return result
