"""Two ways of asking a language model: the completion format of a fine-tuned one, and messages with examples."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from conf.pairs import Ask
from stages.writers.completion_format import CompletionFormat
from stages.writers.few_shot_template import Template
from stages.writers.few_shot_template import load as load_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = dict[str, str]
"""``role`` and ``content``, as chat models take them."""

_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]*$")]


class JsonAnswer(BaseModel):
    """The schema of an answer in JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    instruction: _Line
    edited_caption: _Line


class Asking(Protocol):
    """``stop`` ends an answer, which has it at its end; "" where the model ends by itself."""

    @property
    def stop(self) -> str: ...

    def prompt(self, caption: str) -> str:
        """The text that a model without roles goes on with."""
        ...

    def parse(self, text: str) -> tuple[str, str] | str:
        """Instruction and edited caption of an answer, or the reason why it has none."""
        ...


@dataclass(frozen=True)
class ByCompletion:
    """As a model was fine-tuned by ``pairforge finetune``, or InstructPix2Pix's."""

    format: CompletionFormat

    @property
    def stop(self) -> str:
        return self.format.stop

    def prompt(self, caption: str) -> str:
        return self.format.prompt(caption)

    def parse(self, text: str) -> tuple[str, str] | str:
        return self.format.parse(text)


@dataclass(frozen=True)
class ByExamples:
    """Messages with examples; answers are JSON objects of ``JsonAnswer``."""

    template: Template

    @property
    def stop(self) -> str:
        return ""

    def messages(self, caption: str) -> list[Message]:
        """For a model that was trained on conversations."""
        told = [{"role": "system", "content": self.template.system}] if self.template.system else []
        for example in self.template.examples:
            answer = {"instruction": example.instruction, "edited_caption": example.edited_caption}
            told.append({"role": "user", "content": self.template.ask(example.caption)})
            told.append({"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)})
        return [*told, {"role": "user", "content": self.template.ask(caption)}]

    def prompt(self, caption: str) -> str:
        return "\n\n".join(message["content"] for message in self.messages(caption)) + "\n\n"

    def parse(self, text: str) -> tuple[str, str] | str:
        """The first JSON object in the text: models like to put a fence or a sentence before it."""
        start = text.find("{")
        if start < 0:
            return "no_json"
        try:
            found, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            return "no_json"
        try:
            answer = JsonAnswer.model_validate(found)
        except ValidationError:
            return "not_the_schema"
        return _one_line(answer.instruction), _one_line(answer.edited_caption)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def chosen(ask: Ask, conversations: bool, format: CompletionFormat, template: str) -> Asking:
    """As ``writer.ask`` says; with auto by examples if the model was trained on ``conversations``.

    Raises WriterError for a template that cannot be used.
    """
    if ask is Ask.few_shot or (ask is Ask.auto and conversations):
        return ByExamples(load_template(template))
    return ByCompletion(format)


def encoded(tokenizer: PreTrainedTokenizerBase, asking: Asking, caption: str) -> list[int]:
    """The tokens of a prompt, by the tokenizer's chat template where it has one and examples are given.

    Raises FormatError for a caption with the separator in it.
    """
    if isinstance(asking, ByExamples) and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            asking.messages(caption), tokenize=False, add_generation_prompt=True
        )
        # The template has the special tokens in it.
        return list(tokenizer(text, add_special_tokens=False).input_ids)
    return list(tokenizer(asking.prompt(caption)).input_ids)
