"""Few-shot prompts from templates: YAML files with a system message, a question and examples."""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from conf.messages import error_line, suggest_name
from conf.setting_keys import options
from stages.writers.base import WriterError

FIELDS = ("caption",)
_KEYS = ("system", "ask", "examples")
_EXAMPLE = ("caption", "instruction", "edited_caption")


_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]*$")]


class JsonAnswer(BaseModel):
    """The schema of an answer in JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    instruction: _Line
    edited_caption: _Line


@dataclass(frozen=True)
class FewShotTemplate:
    """The style of models that were not fine-tuned: messages with examples, answered by the JSON of ``JsonAnswer``.

    ``system`` may be empty, ``question`` has ``{caption}`` in it, and an example has the fields of ``_EXAMPLE``.
    """

    system: str
    question: str
    examples: tuple[dict[str, str], ...]
    stop: ClassVar[str] = ""

    def messages(self, caption: str) -> list[dict[str, str]]:
        """Returns ``role`` and ``content`` of the messages, for a model that was trained on conversations."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for example in self.examples:
            answer = {name: example[name] for name in JsonAnswer.model_fields}
            messages.append({"role": "user", "content": self.question.format(caption=example["caption"])})
            messages.append({"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)})
        return [*messages, {"role": "user", "content": self.question.format(caption=caption)}]

    def prompt(self, caption: str) -> str:
        """Returns the text that a model without roles continues."""
        return "\n\n".join(message["content"] for message in self.messages(caption)) + "\n\n"

    def parse(self, text: str) -> tuple[str, str] | str:
        """Parses the first JSON object in the text; models often put a fence or a sentence before it."""
        start = text.find("{")
        if start < 0:
            return "no_json"
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            return "no_json"
        try:
            answer = JsonAnswer.model_validate(value)
        except ValidationError:
            return "not_the_schema"
        return " ".join(answer.instruction.split()), " ".join(answer.edited_caption.split())


def read_template(name: str) -> str:
    """Returns the text of a template in this package, or of a file. Raises WriterError if there is neither."""
    built_in = options("templates")
    if name in built_in:
        return resources.files("conf").joinpath("templates", f"{name}.yaml").read_text()
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WriterError(
            f"writer.template={name} cannot be read: give a file, or one of {', '.join(built_in)}"
        ) from error


def load_template(name: str) -> FewShotTemplate:
    """Loads a template. Raises WriterError if it is missing, is not YAML, or has an unknown field."""
    try:
        fields = yaml.safe_load(read_template(name))
    except yaml.YAMLError as error:
        raise WriterError(f"writer.template={name} is not YAML: {error_line(error)}") from error
    fields = _mapping(name, "it", fields, _KEYS, ("ask",))
    question, system, examples = fields["ask"], fields.get("system") or "", fields.get("examples") or []
    if not isinstance(question, str) or not isinstance(system, str) or not isinstance(examples, list):
        raise WriterError(f"writer.template={name}: ask and system are texts, examples is a list")
    if problem := _find_problem(question):
        raise WriterError(f"writer.template={name}: ask {problem}")
    return FewShotTemplate(
        system.strip(),
        question.strip(),
        tuple(
            _mapping(name, f"example {number}", example, _EXAMPLE, _EXAMPLE)
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


def _find_problem(question: str) -> str:
    """Returns the reason why a question cannot be asked about a caption, or ""."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(question) if field is not None]
    except ValueError as error:
        return f"has a brace that belongs to no field: {error}"
    for field in fields:
        if field not in FIELDS:
            return f"has the unknown field {{{field}}}{_known(field, FIELDS)}; double a brace that is to stay one"
    if not fields:
        return "has no {caption}: the model would not see the caption"
    try:
        question.format(caption="a red ball")
    except (ValueError, LookupError) as error:
        return f"formats the caption in a way that text does not support ({error}): give {{caption}}"
    return ""


def _known(key: str, known: tuple[str, ...]) -> str:
    return suggest_name(key, known) or f": known are {', '.join(known)}"
