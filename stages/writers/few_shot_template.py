"""Templates of few-shot prompts: YAML files with a system message, examples, and how a caption is put."""

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
    """A caption as it is given, and the answer that is wanted."""

    caption: str
    instruction: str
    edited_caption: str


@dataclass(frozen=True)
class Template:
    """``system`` may be empty; ``asks`` has ``{caption}`` where the caption goes."""

    system: str
    asks: str
    examples: tuple[Example, ...]

    def ask(self, caption: str) -> str:
        return self.asks.format(caption=caption)


def shipped() -> list[str]:
    """The names of the templates that come along."""
    files = resources.files("conf").joinpath("templates").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def text_of(name: str) -> str:
    """The text of a template that comes along, by its name, or of a file. Raises WriterError for none."""
    if name in shipped():
        return resources.files("conf").joinpath("templates", f"{name}.yaml").read_text()
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WriterError(
            f"writer.template={name} is no file that can be read, nor one that comes along ({', '.join(shipped())})"
        ) from error


def load(name: str) -> Template:
    """Raises WriterError for a template that is not there, is no YAML, or has a field that there is none of."""
    try:
        found = yaml.safe_load(text_of(name))
    except yaml.YAMLError as error:
        raise WriterError(f"writer.template={name} is no YAML: {error_line(error)}") from error
    found = _mapping(name, "it", found, _KEYS, ("ask",))
    asks, system, examples = found["ask"], found.get("system") or "", found.get("examples") or []
    if not isinstance(asks, str) or not isinstance(system, str) or not isinstance(examples, list):
        raise WriterError(f"writer.template={name}: ask and system are texts, examples is a list")
    _check_fields(name, asks)
    return Template(
        system.strip(),
        asks.strip(),
        tuple(
            Example(**_mapping(name, f"example {number}", one, _EXAMPLE, _EXAMPLE))
            for number, one in enumerate(examples, 1)
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


def _check_fields(name: str, asks: str) -> None:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(asks) if field is not None]
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
        asks.format(caption="a red ball")
    except (ValueError, LookupError) as error:
        raise WriterError(
            f"writer.template={name}: ask puts the caption in a form that text has none of ({error}): give {{caption}}"
        ) from error


def _known(key: str, known: tuple[str, ...]) -> str:
    return suggest_name(key, known) or f": known are {', '.join(known)}"
