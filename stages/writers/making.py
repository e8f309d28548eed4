"""From the configuration to a writer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from enum import Enum

from conf.pairs import Writer as Settings
from conf.pairs import WriterKind
from stages.writers import template
from stages.writers.format import CompletionFormat
from stages.writers.writer import Writer

_FREE = ("device", "endpoint", "key_env", "concurrency", "timeout", "retries", "requests_per_minute")
"""Settings of a writer that may change from one call to the next."""


def make(settings: Settings) -> Writer:
    """Load the writer. Raises WriterError."""
    format = CompletionFormat(settings.format.separator, settings.format.divider, settings.format.stop)
    if settings.kind is WriterKind.transformers:
        # Imported here: torch takes seconds, which other writers need not wait for.
        from stages.writers.causal import Sampling, TransformersWriter

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
        from stages.writers.endpoint import OpenAIWriter

        return OpenAIWriter(settings)
    from stages.writers.grammar import GrammarWriter

    return GrammarWriter()


def fingerprint(settings: Settings) -> str:
    """SHA-256 of all that an answer depends on: of a local model what its folder holds, of a template its text.

    Raises WriterError for a model or a template that is not there.
    """
    told = {
        name: value.value if isinstance(value, Enum) else value
        for name, value in asdict(settings).items()
        if name not in _FREE
    }
    if settings.kind is WriterKind.transformers:
        from stages.writers.causal import identify

        told["model"] = identify(settings.model, settings.revision)
    if settings.kind is not WriterKind.grammar:
        template.load(settings.template)
        told["template"] = template.text_of(settings.template)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
