"""Makes the configured writer, and lists the settings that its answers depend on."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from enum import Enum
from pkgutil import resolve_name
from typing import Any

from conf.pairs import Writer as Settings
from conf.pairs import WriterKind
from stages.writers import few_shot_template
from stages.writers.base import Writer

_CLASSES = {
    WriterKind.grammar: "GrammarWriter",
    WriterKind.transformers: "TransformersWriter",
    WriterKind.openai: "OpenAIWriter",
    WriterKind.vllm: "VllmWriter",
}
_PROMPTS = ("ask", "format", "template", "temperature", "top_p", "max_tokens")
RESULT_SETTINGS: dict[WriterKind, tuple[str, ...]] = {
    WriterKind.grammar: (),
    WriterKind.transformers: ("model", "dtype", *_PROMPTS, "rows"),
    WriterKind.openai: ("model", *_PROMPTS, "structured"),
    WriterKind.vllm: ("model", "dtype", *_PROMPTS, "structured"),
}
"""The settings that the answers of each kind of writer depend on. All others may change between calls."""


def make(settings: Settings) -> Writer:
    """Loads the writer. Raises WriterError, and FormatError for invalid marks."""
    # By name: torch takes seconds to load, and not every writer needs it.
    writer: Writer = resolve_name(f"stages.writers.{settings.kind.value}_writer:{_CLASSES[settings.kind]}")(
        settings
    )
    return writer


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
