"""Reads triples, splits them, and encodes them as examples for a causal language model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

from conf.compose import ConfigError
from pipeline.dataset.split import choose_split
from pipeline.finetune.finetune_settings import Finetune
from stages.captions.reader import open_captions
from stages.captions.source import CaptionSource
from stages.records import CaptionPair, Quarantined
from stages.writers.completion_format import CompletionFormat

IGNORED = -100
"""The label of tokens that the loss skips, by torch's convention."""

Example = dict[str, list[int]]
"""``input_ids`` and ``labels`` of one triple, with equal length."""


@dataclass(frozen=True)
class Triples:
    """Triples for training and validation, which share no input caption, and the refused lines."""

    train: tuple[CaptionPair, ...]
    validation: tuple[CaptionPair, ...]
    refused: tuple[Quarantined, ...]


def read_triples(settings: Finetune) -> Triples:
    """The triples of ``settings.data``, split by the hash of the input caption.

    Raises CaptionsError if the file cannot be read, ConfigError if training or validation would be empty.
    """
    source = CaptionSource(settings.kind.value, settings.data, settings.split, settings.limit)
    train, validation, refused = [], [], []
    for record in open_captions(source):
        if isinstance(record, Quarantined):
            refused.append(record)
        elif choose_split(record.input, (1 - settings.validation, settings.validation)) == "train":
            train.append(record)
        else:
            validation.append(record)
    good = len(train) + len(validation)
    if not good:
        reason = f", the first was refused because {refused[0].reason}" if refused else ""
        raise ConfigError(f"data={settings.data} has no triples{reason}: a line needs input, edit and output")
    if not train or not validation:
        empty = "validation" if train else "training"
        raise ConfigError(
            f"data={settings.data}: none of {good} triples is left for {empty} with "
            f"validation={settings.validation:g}: give more triples, or another share"
        )
    return Triples(tuple(train), tuple(validation), tuple(refused))


def encode_triple(
    triple: CaptionPair,
    tokenizer: PreTrainedTokenizerBase,
    completion: CompletionFormat,
    edited_only: bool = False,
) -> Example:
    """The tokens of prompt, completion and end token; the labels cover the completion and the end token.

    Prompt and completion are tokenized separately, as they are in use. With ``edited_only`` the instruction has no
    labels: a caption allows many instructions, but an instruction allows only one edited caption.

    Raises FormatError if a text contains marks of the format.
    """
    prompt = tokenizer(completion.prompt(triple.input)).input_ids
    target = [*_ids(tokenizer, completion.completion(triple.edit, triple.output)), tokenizer.eos_token_id]
    unlabelled = 0
    if edited_only:
        # The last token of the divider may be merged with the first of the edited caption: compare tokens.
        instruction = _ids(tokenizer, triple.edit + completion.divider)
        pairs = zip(instruction, target, strict=False)
        unlabelled = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    labels = [IGNORED] * (len(prompt) + unlabelled) + target[unlabelled:]
    return {"input_ids": prompt + target, "labels": labels}


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)
