from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniworld
from miniworld.clip_tokenizer import TOKENS, build_tokenizer
from miniworld.edits import EDITS, random_edit
from miniworld.scene import Scene, variations
from miniworld.scene_captions import caption
from miniworld.write_captions import COUNT, make_pairs_text

ATTRIBUTE = {"colour": "colour", "object": "object", "replace": "object", "ground": "ground", "sky": "sky"}


def _one_step_away(kind: str, before: Scene, after: Scene) -> bool:
    if kind == "add":
        return after.things[:1] == before.things and len(after.things) == 2
    if kind == "remove":
        return len(before.things) == 2 and len(after.things) == 1 and after.things[0] in before.things
    return (ATTRIBUTE.get(kind, kind), after) in variations(before)


@given(st.integers(0, 2**32 - 1), st.sampled_from(EDITS))
def test_an_edit_changes_what_its_kind_names_alone(seed: int, kind: str) -> None:
    edit = random_edit(np.random.default_rng(seed), kind)
    assert edit.kind == kind
    assert _one_step_away(kind, edit.before, edit.after)
    assert not edit.before.held_out
    assert not edit.after.held_out


@pytest.mark.parametrize("kind", EDITS)
def test_each_kind_has_several_phrasings(kind: str) -> None:
    rng = np.random.default_rng(0)
    first_words = {" ".join(random_edit(rng, kind).instruction.split()[:2]) for _ in range(200)}
    assert len(first_words) >= 3


@given(st.integers(0, 2**32 - 1))
def test_captions_fit_the_text_encoder(seed: int) -> None:
    edit = random_edit(np.random.default_rng(seed), held_out=None)
    for scene in (edit.before, edit.after):
        assert len(TOKENIZER(caption(scene)).input_ids) <= TOKENS


def test_the_shipped_pairs_are_those_of_the_grammar() -> None:
    shipped = miniworld.CAPTIONS.read_text()
    assert shipped == make_pairs_text()
    lines = [json.loads(line) for line in shipped.splitlines()]
    assert len(lines) == COUNT == 256
    assert {line["kind"] for line in lines} == set(EDITS)
    assert all(line["input"] != line["output"] for line in lines)


TOKENIZER = build_tokenizer()
