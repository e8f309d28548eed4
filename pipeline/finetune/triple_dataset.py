"""From triples to what a causal language model is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

from conf.compose import ConfigError
from pipeline.export.split import split_of
from pipeline.finetune.finetune_settings import Finetune
from stages.captions.reader import open_captions
from stages.captions.source import CaptionSource
from stages.records import CaptionPair, Quarantined
from stages.writers.completion_format import CompletionFormat

IGNORED = -100
"""The label of a token that the loss leaves out (torch's and transformers' own)."""

Example = dict[str, list[int]]
"""``input_ids`` and ``labels`` of one triple, of one length."""


@dataclass(frozen=True)
class Triples:
    """Good lines, the captions of `validation` being none of those of `train`; and those that were refused."""

    train: tuple[CaptionPair, ...]
    validation: tuple[CaptionPair, ...]
    refused: tuple[Quarantined, ...]


def read_triples(asked: Finetune) -> Triples:
    """The triples of ``asked.data``, split by the hash of the input caption.

    Raises CaptionsError for what is not to be read, ConfigError where a side would be empty.
    """
    source = CaptionSource(asked.kind.value, asked.data, asked.split, asked.limit)
    train, validation, refused = [], [], []
    for one in open_captions(source):
        if isinstance(one, Quarantined):
            refused.append(one)
        elif split_of(one.input, (1 - asked.validation, asked.validation)) == "train":
            train.append(one)
        else:
            validation.append(one)
    good = len(train) + len(validation)
    if not good:
        why = f", the first refused because {refused[0].reason}" if refused else ""
        raise ConfigError(f"data={asked.data} has no triples{why}: a line needs input, edit and output")
    if not train or not validation:
        empty = "validation" if train else "training"
        raise ConfigError(
            f"data={asked.data}: with validation={asked.validation:g} none of {good} triples is for {empty}: give more "
            "triples, or another share"
        )
    return Triples(tuple(train), tuple(validation), tuple(refused))


def encode(
    triple: CaptionPair,
    tokenizer: PreTrainedTokenizerBase,
    completion: CompletionFormat,
    edited_only: bool = False,
) -> Example:
    """The prompt that asks for a triple and, with labels, the completion that is hoped for, an end token behind it.

    Prompt and completion are tokenized apart, as they are when the model is asked: no token straddles them. With
    ``edited_only`` the instruction has no labels either: many are as good as this one, but what it makes of the caption
    is not open to choice.

    Raises FormatError for texts that have the format's marks in them.
    """
    prompt = tokenizer(completion.prompt(triple.input)).input_ids
    learnt = [*_ids(tokenizer, completion.completion(triple.edit, triple.output)), tokenizer.eos_token_id]
    unlabelled = 0
    if edited_only:
        # As far as the tokens agree: the last of the divider's may be one with the edited caption's first.
        instruction = _ids(tokenizer, triple.edit + completion.divider)
        pairs = zip(instruction, learnt, strict=False)
        unlabelled = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    labels = [IGNORED] * (len(prompt) + unlabelled) + learnt[unlabelled:]
    return {"input_ids": prompt + learnt, "labels": labels}


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False).input_ids)
