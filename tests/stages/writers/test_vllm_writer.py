"""What of the vLLM writer needs no vLLM; and where that is installed, the writer itself on an untrained model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from conf.pairs import Writer, WriterKind
from miniworld.lm_tokenizer import build_tokenizer
from stages.writers import few_shot_template, vllm_writer
from stages.writers.base import Answer, EditRequest, NoAnswer, WriterError
from stages.writers.completion_format import CompletionFormat
from stages.writers.factory import make

HERE = importlib.util.find_spec("vllm") is not None
SETTINGS = Writer(kind=WriterKind.vllm, model="x", temperature=0.3, top_p=0.8, max_tokens=9)


def test_an_answer_uses_its_seed_and_the_stop_sequence() -> None:
    drawn = {"temperature": 0.3, "top_p": 0.8, "max_tokens": 9, "seed": 2**32 - 1}
    assert vllm_writer.sampling(SETTINGS, few_shot_template.load_template("miniworld"), 2**32 - 1) == drawn
    with_stop = {**drawn, "stop": ["\nEND"], "include_stop_str_in_output": True}
    assert vllm_writer.sampling(SETTINGS, CompletionFormat(), 2**32 - 1) == with_stop


@pytest.mark.skipif(HERE, reason="vLLM is installed")
def test_without_vllm_it_says_what_to_install_or_to_take_instead() -> None:
    with pytest.raises(WriterError, match=r"pip install 'pairforge\[vllm\]'.*writer=openai") as caught:
        make(SETTINGS)
    assert "\n" not in str(caught.value)


@pytest.mark.long
@pytest.mark.skipif(not HERE, reason="vLLM is not installed")
def test_a_unit_is_written_the_same_whatever_was_before_it(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=2048,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = Writer(kind=WriterKind.vllm, model=str(tmp_path), max_tokens=12, context=256, gpu_memory=0.2)
    writer = make(settings)
    unit = [EditRequest(" ".join(["a photo of a red ball"] * (1 + k % 3)), seed=k) for k in range(7)]
    answers = writer.write([*unit, EditRequest("a\n##\nb", 0), EditRequest("red " * 400, 1)])
    assert {answer.reason for answer in answers[:7] if isinstance(answer, Answer)} == {"no_stop"}
    assert len({answer.text for answer in answers[:7] if isinstance(answer, Answer)}) == 7
    assert answers[7] == Answer(reason="separator_in_caption", text="a\n##\nb")
    assert isinstance(answers[8], NoAnswer)
    assert "do not fit into the 256" in answers[8].reason
    writer.write([EditRequest("a house", 5)])
    assert writer.write(unit) == answers[:7]
