"""Chooses between two styles of prompts: completion for fine-tuned models, few-shot for all others."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from conf.pairs import Ask, Writer
from stages.writers.base import Answer
from stages.writers.completion_format import CompletionFormat, FormatError
from stages.writers.few_shot_template import FewShotTemplate, load_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PromptStyle = CompletionFormat | FewShotTemplate
"""Has ``prompt``, ``parse`` and ``stop``, which ends an answer and is part of it; "" if the model ends by itself."""


def choose_style(settings: Writer, conversations: bool) -> PromptStyle:
    """Returns the style of ``writer.ask``; auto means few-shot if the model was trained on ``conversations``.

    Raises WriterError for an invalid template, FormatError for invalid marks.
    """
    completion = CompletionFormat(**asdict(settings.format))
    if settings.ask is Ask.few_shot or (settings.ask is Ask.auto and conversations):
        return load_template(settings.template)
    return completion


def encode_prompt(tokenizer: PreTrainedTokenizerBase, style: PromptStyle, caption: str) -> list[int] | Answer:
    """Returns the tokens of a prompt, or the answer to a caption that contains the separator.

    A few-shot prompt uses the tokenizer's chat template if it has one.
    """
    if isinstance(style, FewShotTemplate) and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(
            style.messages(caption), tokenize=False, add_generation_prompt=True
        )
        # The template contains the special tokens.
        return list(tokenizer(text, add_special_tokens=False).input_ids)
    try:
        return list(tokenizer(style.prompt(caption)).input_ids)
    except FormatError:
        return Answer(reason="separator_in_caption", text=caption)
