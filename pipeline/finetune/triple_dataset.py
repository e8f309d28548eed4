"""Reads triples, splits them, and encodes them as examples for a causal language model."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile

from transformers import PreTrainedTokenizerBase

from conf.config_errors import ConfigError
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

    train: list[CaptionPair] = field(default_factory=list)
    validation: list[CaptionPair] = field(default_factory=list)
    refused: list[Quarantined] = field(default_factory=list)


def read_triples(settings: Finetune) -> Triples:
    """The triples of ``settings.data``, split by the hash of the input caption.

    Raises CaptionsError if the file cannot be read, ConfigError if training or validation would be empty.
    """
    source = CaptionSource(settings.kind.value, settings.data, settings.split, settings.limit)
    triples = Triples()
    for record in open_captions(source):
        if isinstance(record, Quarantined):
            triples.refused.append(record)
        else:
            split = choose_split(record.input, (1 - settings.validation, settings.validation))
            (triples.train if split == "train" else triples.validation).append(record)
    good = len(triples.train) + len(triples.validation)
    if not good:
        reason = f", the first was refused because {triples.refused[0].reason}" if triples.refused else ""
        raise ConfigError(f"data={settings.data} has no triples{reason}: a line needs input, edit and output")
    if not triples.train or not triples.validation:
        empty = "validation" if triples.train else "training"
        raise ConfigError(
            f"data={settings.data}: none of {good} triples is left for {empty} with "
            f"validation={settings.validation:g}: give more triples, or another share"
        )
    return triples


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
