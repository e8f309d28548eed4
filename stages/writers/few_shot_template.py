"""Loads templates of few-shot prompts: YAML files with a system message, a question and examples."""

from __future__ import annotations

import string
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from conf.messages import error_line, suggest_name
from stages.writers.base import WriterError

FIELDS = ("caption",)
_KEYS = ("system", "ask", "examples")
_EXAMPLE = ("caption", "instruction", "edited_caption")


@dataclass(frozen=True)
class Example:
    """A caption and the wanted answer."""

    caption: str
    instruction: str
    edited_caption: str


@dataclass(frozen=True)
class Template:
    """A system message, which may be empty, a ``question`` with ``{caption}`` in it, and examples."""

    system: str
    question: str
    examples: tuple[Example, ...]

    def ask(self, caption: str) -> str:
        return self.question.format(caption=caption)


def list_templates() -> list[str]:
    """Returns the names of the templates in this package."""
    files = resources.files("conf").joinpath("templates").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def read_template(name: str) -> str:
    """Returns the text of a template in this package, or of a file. Raises WriterError if there is neither."""
    if name in list_templates():
        return resources.files("conf").joinpath("templates", f"{name}.yaml").read_text()
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WriterError(
            f"writer.template={name} cannot be read: give a file, or one of {', '.join(list_templates())}"
        ) from error


def load_template(name: str) -> Template:
    """Loads a template. Raises WriterError if it is missing, is not YAML, or has an unknown field."""
    try:
        fields = yaml.safe_load(read_template(name))
    except yaml.YAMLError as error:
        raise WriterError(f"writer.template={name} is no YAML: {error_line(error)}") from error
    fields = _mapping(name, "it", fields, _KEYS, ("ask",))
    question, system, examples = fields["ask"], fields.get("system") or "", fields.get("examples") or []
    if not isinstance(question, str) or not isinstance(system, str) or not isinstance(examples, list):
        raise WriterError(f"writer.template={name}: ask and system are texts, examples is a list")
    _check_fields(name, question)
    return Template(
        system.strip(),
        question.strip(),
        tuple(
            Example(**_mapping(name, f"example {number}", example, _EXAMPLE, _EXAMPLE))
            for number, example in enumerate(examples, 1)
        ),
    )


def _mapping(
    name: str, what: str, found: Any, known: tuple[str, ...], needed: tuple[str, ...]
) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise WriterError(f"writer.template={name}: {what} has no fields: it needs {', '.join(needed)}")
    for key in found:
        if key not in known:
            raise WriterError(
                f"writer.template={name}: {what} has the unknown field {key!r}{_known(str(key), known)}"
            )
    for key in needed:
        if not found.get(key):
            raise WriterError(f"writer.template={name}: {what} lacks the field {key!r}")
    return {str(key): value for key, value in found.items()}


def _check_fields(name: str, question: str) -> None:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(question) if field is not None]
    except ValueError as error:
        raise WriterError(
            f"writer.template={name}: ask has a brace that is none of a field: {error}"
        ) from error
    for field in fields:
        if field not in FIELDS:
            raise WriterError(
                f"writer.template={name}: ask has the unknown field {{{field}}}{_known(field, FIELDS)}; double a brace "
                "that is to stay one"
            )
    if not fields:
        raise WriterError(f"writer.template={name}: ask has no {{caption}}: the model would not know it")
    try:
        question.format(caption="a red ball")
    except (ValueError, LookupError) as error:
        raise WriterError(
            f"writer.template={name}: ask puts the caption in a form that text has none of ({error}): give {{caption}}"
        ) from error


def _known(key: str, known: tuple[str, ...]) -> str:
    return suggest_name(key, known) or f": known are {', '.join(known)}"
