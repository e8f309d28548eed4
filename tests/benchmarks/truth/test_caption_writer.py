"""The rating of answers, on drawn ones and on those of the shipped language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

import miniworld
from benchmarks.truth.caption_writer import load, rate, write
from miniworld.lm_tokenizer import build_tokenizer
from miniworld.scene_captions import caption
from miniworld.triples import COUNT, draw_triples, draw_unseen_captions
from miniworld.write_triples import main as write_triples
from stages.writers.completion_format import CompletionFormat

Writer = tuple[PreTrainedModel, PreTrainedTokenizerBase]


@pytest.fixture(scope="module")
def writer() -> Writer:
    return load(miniworld.WRITER)


def test_shipped_model_is_fine_tuned_on_700_triples(writer: Writer) -> None:
    model, tokenizer = writer
    assert isinstance(model, LlamaForCausalLM)
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()
    record = json.loads((miniworld.WRITER / "finetune.json").read_text())
    assert record["counts"] == {
        "train": record["counts"]["train"],
        "validation": COUNT - record["counts"]["train"],
        "refused": 0,
    }


def test_answers_repeat_and_differ_by_caption(writer: Writer) -> None:
    captions = draw_unseen_captions(16, held_out=False)
    answers = write(*writer, captions, temperature=0.7)
    assert answers == write(*writer, captions, temperature=0.7)
    assert len(set(answers)) > 12


@pytest.mark.parametrize(("held_out", "floor"), [(False, 0.5), (True, 0.4)])
def test_most_answers_for_unseen_captions_are_right(writer: Writer, held_out: bool, floor: float) -> None:
    captions = draw_unseen_captions(64, held_out)
    rates = rate(captions, write(*writer, captions, temperature=0.0))
    assert rates.parsed > 0.95
    assert rates.right >= floor


def test_rates_of_true_and_false_answers() -> None:
    completion = CompletionFormat()
    drawn = list(draw_triples(40))
    captions = [caption(edit.before) for edit in drawn]
    true = [completion.completion(edit.instruction, caption(edit.after)) for edit in drawn]
    rates = rate(captions, true)
    assert (rates.parsed, rates.sayable, rates.right) == (1, 1, 1)
    assert rates.instructions == len({edit.instruction for edit in drawn})

    unchanged = [completion.completion(edit.instruction, caption(edit.before)) for edit in drawn]
    strange = [completion.completion("fly to the moon", caption(edit.after)) for edit in drawn]
    halves = true[:10] + unchanged[10:20] + strange[20:30] + [answer[:-4] for answer in true[30:]]
    rates = rate(captions, halves)
    assert (rates.parsed, rates.sayable, rates.right) == (0.75, 0.5, 0.25)


def test_triples_are_written_one_a_line(tmp_path: Path) -> None:
    write_triples([str(tmp_path / "a" / "t.jsonl"), "--count", "9"])
    lines = [json.loads(line) for line in (tmp_path / "a" / "t.jsonl").read_text().splitlines()]
    assert lines == [edit.as_line() for edit in draw_triples(9)]
