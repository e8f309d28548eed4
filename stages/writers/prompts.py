"""Builds prompts and parses answers in two styles: completion for fine-tuned models, few-shot for all others."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from conf.pairs import Ask
from stages.writers.completion_format import CompletionFormat
from stages.writers.few_shot_template import Template, load_template

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


class PromptStyle(Protocol):
    """A way to prompt a model. ``stop`` ends an answer and is part of it; "" if the model ends by itself."""

    @property
    def stop(self) -> str: ...

    def prompt(self, caption: str) -> str:
        """Returns the text that a model without roles continues."""
        ...

    def parse(self, text: str) -> tuple[str, str] | str:
        """Returns the instruction and edited caption of an answer, or the reason why it has none."""
        ...


@dataclass(frozen=True)
class CompletionPrompts:
    """The style of models fine-tuned by ``pairforge finetune``, and of InstructPix2Pix's model."""

    format: CompletionFormat

    @property
    def stop(self) -> str:
        return self.format.stop

    def prompt(self, caption: str) -> str:
        return self.format.prompt(caption)

    def parse(self, text: str) -> tuple[str, str] | str:
        return self.format.parse(text)


@dataclass(frozen=True)
class FewShotPrompts:
    """Messages with examples; answers are JSON objects of ``JsonAnswer``."""

    template: Template

    @property
    def stop(self) -> str:
        return ""

    def messages(self, caption: str) -> list[Message]:
        """Returns the messages for a model that was trained on conversations."""
        messages = [{"role": "system", "content": self.template.system}] if self.template.system else []
        for example in self.template.examples:
            answer = {"instruction": example.instruction, "edited_caption": example.edited_caption}
            messages.append({"role": "user", "content": self.template.ask(example.caption)})
            messages.append({"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)})
        return [*messages, {"role": "user", "content": self.template.ask(caption)}]

    def prompt(self, caption: str) -> str:
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
        return _one_line(answer.instruction), _one_line(answer.edited_caption)


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def choose_style(ask: Ask, conversations: bool, format: CompletionFormat, template: str) -> PromptStyle:
    """Returns the style of ``writer.ask``; auto means few-shot if the model was trained on ``conversations``.

    Raises WriterError for an invalid template.
    """
    if ask is Ask.few_shot or (ask is Ask.auto and conversations):
        return FewShotPrompts(load_template(template))
    return CompletionPrompts(format)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, style: PromptStyle, caption: str) -> list[int]:
    """Returns the tokens of a prompt. A few-shot prompt uses the tokenizer's chat template if it has one.

    Raises FormatError for a caption that contains the separator.
    """
    if isinstance(style, FewShotPrompts) and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            style.messages(caption), tokenize=False, add_generation_prompt=True
        )
        # The template contains the special tokens.
        return list(tokenizer(text, add_special_tokens=False).input_ids)
    return list(tokenizer(style.prompt(caption)).input_ids)
