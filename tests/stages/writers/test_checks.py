from __future__ import annotations

from pathlib import Path

import pytest

import miniworld
from conf.pairs import Checks
from stages.captions import CaptionsError
from stages.writers.base import Answer, WriterError
from stages.writers.checks import REASONS, Checker
from tests.llamas import save_classifier

CAPTION = "a photo of a red ball on grass by day"
GOOD = Answer("make the ball blue", "a photo of a blue ball on grass by day")


def checker(**more: object) -> Checker:
    return Checker(Checks(model=str(miniworld.MODEL), **more))


def reasons(*answers: Answer, **more: object) -> list[str]:
    return checker(**more)(CAPTION, answers)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (GOOD, ""),
        (Answer(reason="no_json", text="?"), "no_json"),
        (Answer("make it red", "A photo of a red ball, on grass, by day."), "same_caption"),
        (Answer("make it long", "a blue ball " * 200), "too_long"),
        (Answer("make it blue " * 20, GOOD.edited), "long_instruction"),
        (Answer(CAPTION, GOOD.edited), "repeats_caption"),
        (Answer(f"Change {CAPTION} to blue", GOOD.edited), "repeats_caption"),
        (Answer(GOOD.edited, GOOD.edited), "repeats_caption"),
        (Answer("make it\x07blue", GOOD.edited), "unprintable"),
        (Answer("add a Bad  thing", "a bad  thing"), ""),
        (Answer("add a naked man", "a naked man on grass"), "blocked"),
        (Answer("make it NAKED.", "a ball"), "blocked"),
        (Answer("make it snakedrawn", "a nakedball"), ""),
    ],
)
def test_reasons(answer: Answer, reason: str) -> None:
    assert reasons(answer, block=["naked", "very bad"]) == [reason]
    assert not reason or reason in REASONS


def test_near_duplicates_of_a_caption() -> None:
    almost = Answer("make the ball blue!", GOOD.edited)
    other = Answer("put it on snow", "a photo of a red ball on snow by day")
    assert reasons(GOOD, almost, other, GOOD, near_duplicate=0.8) == [
        "",
        "near_duplicate",
        "",
        "near_duplicate",
    ]
    assert reasons(GOOD, almost, other, GOOD, near_duplicate=None) == ["", "", "", "near_duplicate"]
    # What is not kept for another reason stands in nobody's way.
    assert reasons(Answer(reason="no_stop"), GOOD) == ["no_stop", ""]


def test_a_block_file_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "block.txt"
    path.write_text("naked\n\nblue ball\n")
    assert reasons(GOOD, block_file=str(path)) == ["blocked"]
    with pytest.raises(CaptionsError, match=r"checks\.block_file"):
        checker(block_file=str(tmp_path / "none"))


def test_language() -> None:
    english = checker(language="en")
    assert english(
        "a girl on a horse", [Answer("have her ride a dragon", "a girl riding a dragon in the sky")]
    ) == [""]
    german = Answer("male es rot an", "ein rotes Haus im Schnee")
    assert english("a girl on a horse", [german]) == ["language"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text classifier that has learnt nothing."""
    return save_classifier(tmp_path_factory.mktemp("classifier"))


def test_moderation(classifier: Path) -> None:
    assert reasons(GOOD, moderation=str(classifier), moderation_most=1.0) == [""]
    assert reasons(GOOD, moderation=str(classifier), moderation_most=0.0) == ["moderation"]
    with pytest.raises(WriterError, match=r"moderation_label=nsfw is not a label of .*: fine, toxic"):
        checker(moderation=str(classifier), moderation_label="nsfw")
    with pytest.raises(WriterError, match="does not load"):
        checker(moderation=str(classifier / "none"))
