from __future__ import annotations

from pathlib import Path

import pytest

from conf.config_errors import ConfigError
from miniworld.lm_tokenizer import build_tokenizer
from pipeline.finetune.finetune_settings import Finetune
from pipeline.finetune.triple_dataset import IGNORED, encode_triple, read_triples
from stages.records import CaptionPair
from stages.writers.completion_format import CompletionFormat

TOKENIZER = build_tokenizer()
TRIPLE = CaptionPair("a red ball on sand by day", "make the ball blue", "a blue ball on sand by day")


def _labelled(labels: list[int]) -> str:
    return TOKENIZER.decode([label for label in labels if label != IGNORED])


@pytest.mark.parametrize("completion", [CompletionFormat(), CompletionFormat(" => ", " || ", " .")])
def test_labels_cover_the_completion_or_the_edited_caption(
    completion: CompletionFormat,
) -> None:
    example = encode_triple(TRIPLE, TOKENIZER, completion)
    whole = completion.prompt(TRIPLE.input) + completion.completion(TRIPLE.edit, TRIPLE.output)
    assert TOKENIZER.decode(example["input_ids"]) == whole + TOKENIZER.eos_token
    assert (
        _labelled(example["labels"])
        == completion.completion(TRIPLE.edit, TRIPLE.output) + TOKENIZER.eos_token
    )
    assert len(example["labels"]) == len(example["input_ids"])

    validated = encode_triple(TRIPLE, TOKENIZER, completion, edited_only=True)
    assert validated["input_ids"] == example["input_ids"]
    assert _labelled(validated["labels"]).strip() == TRIPLE.output + completion.stop + TOKENIZER.eos_token


def test_captions_are_split_and_bad_lines_are_refused(tmp_path: Path) -> None:
    lines = [
        f'{{"input": "a ball, number {n % 20}", "edit": "edit {n}", "output": "a box {n}"}}'
        for n in range(60)
    ]
    path = tmp_path / "triples.jsonl"
    path.write_text("\n".join([*lines, '{"input": "no edit"}']))
    read = read_triples(Finetune(data=str(path), validation=0.3))
    assert len(read.train) + len(read.validation) == 60
    assert not {pair.input for pair in read.train} & {pair.input for pair in read.validation}
    assert [bad.line for bad in read.refused] == [61]


def test_too_few_triples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "triples.jsonl"
    path.write_text('{"input": "a ball", "edit": "make it a box", "output": "a box"}\n')
    with pytest.raises(ConfigError, match="none of 1 triples is left for"):
        read_triples(Finetune(data=str(path)))
    path.write_text('{"input": "a ball"}\n')
    with pytest.raises(ConfigError, match="has no triples, the first was refused because"):
        read_triples(Finetune(data=str(path)))
