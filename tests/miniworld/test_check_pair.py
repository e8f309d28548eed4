from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniworld.check_pair import Meaning, Verdict, judge, meanings
from miniworld.edits import EDITS, random_edit
from miniworld.scene import Scene, Thing, random_scene, variations
from miniworld.scene_captions import caption

SEEDS = st.integers(0, 2**32 - 1)
TEXT = "a photo of a red ball on grass by day"


@given(SEEDS, st.sampled_from(EDITS))
def test_random_edits_are_right_and_of_their_kind(seed: int, kind: str) -> None:
    edit = random_edit(np.random.default_rng(seed), kind, held_out=None)
    line = edit.as_line()
    assert judge(line["input"], line["edit"], line["output"]) is Verdict.right
    assert meanings(edit.before)[edit.instruction] == Meaning(kind, edit.after)


@given(SEEDS)
def test_every_other_edited_caption_is_wrong(seed: int) -> None:
    edit = random_edit(np.random.default_rng(seed), held_out=None)
    false = [edit.before] + [scene for _, scene in variations(edit.after)]
    verdicts = {judge(caption(edit.before), edit.instruction, caption(scene)) for scene in false}
    assert verdicts == {Verdict.wrong_caption}


@given(SEEDS)
def test_an_instruction_has_one_meaning_which_is_a_change(seed: int) -> None:
    scene = random_scene(np.random.default_rng(seed), held_out=None)
    found = meanings(scene)
    assert all(meaning.after != scene for meaning in found.values())
    one, two = 8 * 4 + 7 * 4 + 7 * 9 * 4, 2 * (8 * 4 + 4 + 6 * 3)
    everywhere = 4 * 4 + 3 * 4 + 3 * 4
    assert len(found) == everywhere + (one if len(scene.things) == 1 else two)


@pytest.mark.parametrize(
    ("instruction", "edited"),
    [
        ("make the ball blue", "a photo of a blue ball on grass by day "),
        ("make the ball orange", "a photo of a orange ball on grass by day"),
        ("make the ball blue", "a blue ball on grass"),
        ("add a blue box", "a photo of a blue box and a red ball on grass by day"),
    ],
)
def test_a_caption_in_other_words_is_wrong(instruction: str, edited: str) -> None:
    assert judge(TEXT, instruction, edited) is Verdict.wrong_caption


@pytest.mark.parametrize(
    "instruction",
    [
        "make the box blue",
        "turn the green ball blue",
        "make the ball red",
        "put it on grass",
        "remove the ball",
        "",
    ],
)
def test_an_instruction_that_does_not_apply_is_unknown(instruction: str) -> None:
    assert judge(TEXT, instruction, TEXT) is Verdict.unknown_instruction


def test_an_unknown_caption_has_its_verdict() -> None:
    assert judge("a horse", "make the ball blue", TEXT) is Verdict.unknown_caption
    two = Scene("photo", (Thing("red", "ball"), Thing("blue", "box")), "grass", "day")
    assert judge(caption(two), "make it a cone", caption(two)) is Verdict.unknown_instruction
