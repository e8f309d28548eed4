from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from conf.pairs import Ask, Marks, Writer
from stages.writers.base import Answer, WriterError
from stages.writers.completion_format import CompletionFormat, FormatError
from stages.writers.few_shot_template import load_template
from stages.writers.prompts import choose_style, encode_prompt

CAPTION = "a photo of a red ball"
FEW_SHOT = load_template("miniworld")


@pytest.mark.parametrize(
    ("ask", "conversations", "kind"),
    [
        (Ask.auto, True, "few_shot"),
        (Ask.auto, False, "completion"),
        (Ask.completion, True, "completion"),
        (Ask.few_shot, False, "few_shot"),
    ],
)
def test_auto_follows_the_model_and_all_else_the_setting(ask: Ask, conversations: bool, kind: str) -> None:
    settings = Writer(ask=ask, template="miniworld", format=Marks(stop="."))
    wanted = {"few_shot": FEW_SHOT, "completion": CompletionFormat(stop=".")}[kind]
    style = choose_style(settings, conversations)
    assert (type(style), asdict(style)) == (type(wanted), asdict(wanted))


def test_what_a_style_cannot_be_made_of_is_refused() -> None:
    with pytest.raises(WriterError, match=r"writer\.template=none cannot be read"):
        choose_style(Writer(template="none"), conversations=True)
    with pytest.raises(FormatError, match="stop is empty"):
        choose_style(Writer(format=Marks(stop="")), conversations=False)


def test_a_chat_template_frames_the_few_shot_messages(untrained: Path, untrained_chat: Path) -> None:
    plain, chat = (AutoTokenizer.from_pretrained(folder) for folder in (untrained, untrained_chat))
    question = FEW_SHOT.messages(CAPTION)[-1]["content"]
    assert plain.decode(encode_prompt(plain, FEW_SHOT, CAPTION)) == FEW_SHOT.prompt(CAPTION)
    assert chat.decode(encode_prompt(chat, FEW_SHOT, CAPTION)).endswith(f"<user>{question}\n<assistant>")
    completion = CompletionFormat()
    assert encode_prompt(chat, completion, CAPTION) == encode_prompt(plain, completion, CAPTION)


def test_a_caption_with_the_separator_has_its_answer(untrained: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(untrained)
    bad = f"{CAPTION}\n##\n"
    assert encode_prompt(tokenizer, CompletionFormat(), bad) == Answer(
        reason="separator_in_caption", text=bad
    )
    assert isinstance(encode_prompt(tokenizer, FEW_SHOT, bad), list)
