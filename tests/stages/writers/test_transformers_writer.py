from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from conf.pairs import Ask, Writer, WriterKind
from stages.writers.base import Answer, EditRequest, WriterError
from stages.writers.transformers_writer import TokenSampler, TransformersWriter, load_config

ASKED = [EditRequest(" ".join(["a photo of a red ball"] * (1 + k % 3)), seed=k) for k in range(7)]


def settings(model: Path, **more: object) -> Writer:
    return Writer(kind=WriterKind.transformers, model=str(model), **more)


def writer(model: Path, **more: object) -> TransformersWriter:
    drawn = {"temperature": 1.0, "top_p": 0.9, "max_tokens": 12, "rows": 4}
    return TransformersWriter(settings(model, device="cpu", **drawn, **more))


def test_an_answer_depends_on_nothing_but_its_own_question(untrained: Path) -> None:
    own = writer(untrained)
    together = own.write(ASKED)
    assert len({answer.text for answer in together}) == len(ASKED)
    assert all(answer.reason == "no_stop" for answer in together)
    assert [own.write([one])[0] for one in reversed(ASKED)] == together[::-1]
    assert writer(untrained).write(ASKED[3:] + ASKED[:3]) == together[3:] + together[:3]


def test_a_seed_decides(untrained: Path) -> None:
    same, other = [writer(untrained).write([EditRequest(ASKED[0].caption, seed)])[0] for seed in (0, 1)]
    assert same == writer(untrained).write([ASKED[0]])[0]
    assert same != other


def test_the_chat_template_is_taken_where_there_is_one(untrained_chat: Path) -> None:
    answers = writer(untrained_chat).write(ASKED[:2])
    assert {answer.reason for answer in answers} == {"no_json"}
    by_format = writer(untrained_chat, ask=Ask.completion).write(ASKED[:2])
    assert {answer.reason for answer in by_format} == {"no_stop"}


def test_a_caption_with_the_separator_has_a_reason(untrained: Path) -> None:
    bad, good = writer(untrained).write([EditRequest("a\n##\nb", 0), ASKED[0]])
    assert bad == Answer(reason="separator_in_caption", text="a\n##\nb")
    assert good == writer(untrained).write([ASKED[0]])[0]


def test_draws_follow_the_distribution() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.3]])).repeat(4000, 1)
    counts = (
        TokenSampler(range(4000), 1.0, 1.0)(torch.zeros(4000, 0), logits).argmax(-1).bincount(minlength=3)
        / 4000
    )
    torch.testing.assert_close(counts, torch.tensor([0.1, 0.6, 0.3]), atol=0.03, rtol=0)
    nucleus = (
        TokenSampler(range(4000), 1.0, 0.65)(torch.zeros(4000, 0), logits).argmax(-1).bincount(minlength=3)
        / 4000
    )
    torch.testing.assert_close(nucleus, torch.tensor([0.0, 2 / 3, 1 / 3]), atol=0.03, rtol=0)
    cold = TokenSampler(range(4000), 0.01, 1.0)(torch.zeros(4000, 0), logits).argmax(-1)
    assert (cold == 1).all()


def test_what_is_no_causal_language_model_is_one_line(tmp_path: Path) -> None:
    CLIPTextModel(
        CLIPTextConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    ).save_pretrained(tmp_path)
    with pytest.raises(WriterError, match="is a clip_text_model model, not a causal language model"):
        TransformersWriter(settings(tmp_path))
    with pytest.raises(WriterError, match="there is no such folder"):
        TransformersWriter(settings(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WriterError, match="does not load") as caught:
        TransformersWriter(settings(tmp_path / "empty"))
    assert "\n" not in str(caught.value)


def test_a_configuration_is_read_without_weights(untrained: Path, tmp_path: Path) -> None:
    shutil.copy(untrained / "config.json", tmp_path)
    assert load_config(str(tmp_path)).model_type == "llama"
    with pytest.raises(WriterError, match="does not load"):
        TransformersWriter(settings(tmp_path))
