"""What is right: drawn edits are, and stop being so with any fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.truth.background_preservation import LEFT_ALONE
from benchmarks.truth.edit_truth import attributes, layout_after, left, read_from_truth, swapped, truth
from miniworld.draw import draw
from miniworld.edits import EDITS, Edit, random_edit
from miniworld.scene import COLOURS, GROUNDS, SKIES, STYLES, Layout, Scene, random_layout
from miniworld.scene_reader import Reading

SEEDS = st.integers(0, 10_000)
KINDS_OF_EDIT = st.sampled_from(EDITS)


def drawn(scene: Scene, layout: Layout) -> tuple[np.ndarray, Reading]:
    return draw(scene, layout), read_from_truth(scene, layout)


def case(seed: int, kind: str) -> tuple[Edit, Layout, Layout]:
    """An edit, the layout before it, and that after: what is left when one goes has its own place still."""
    rng = np.random.default_rng(seed)
    edit, layout = random_edit(rng, kind, held_out=None), random_layout(rng)
    return edit, layout, layout_after(edit.before, edit.after, layout)


@given(SEEDS, KINDS_OF_EDIT)
def test_a_drawn_edit_is_right(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    found = truth(edit.before, edit.after, drawn(edit.before, here), drawn(edit.after, there))
    assert found.carried_out
    assert found.same_attributes
    assert found.same_places
    assert found.psnr is None or found.psnr > 24
    assert found.right


@given(SEEDS, KINDS_OF_EDIT)
def test_what_is_not_edited_is_not_carried_out_but_left_alone(seed: int, kind: str) -> None:
    edit, here, _ = case(seed, kind)
    found = truth(edit.before, edit.after, drawn(edit.before, here), drawn(edit.before, here))
    assert not found.carried_out
    assert found.left_alone
    assert found.psnr is None or found.psnr == LEFT_ALONE
    assert not found.right


@given(SEEDS, KINDS_OF_EDIT)
def test_an_edit_with_another_attribute_changed_is_carried_out_and_not_right(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    other = "sky" if kind != "sky" else "ground"
    values = {"sky": SKIES, "ground": GROUNDS}[other]
    spoilt = replace(edit.after, **{other: next(v for v in values if v != getattr(edit.after, other))})
    found = truth(edit.before, edit.after, drawn(edit.before, here), drawn(spoilt, there))
    assert found.carried_out
    assert not found.same_attributes
    assert not found.right


@given(SEEDS, st.sampled_from(("ground", "sky", "style", "object", "replace")))
def test_an_edit_that_paints_an_object_besides_is_not_right(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    last = edit.after.things[-1]
    painted = replace(last, colour=next(colour for colour in COLOURS if colour != last.colour))
    spoilt = replace(edit.after, things=(*edit.after.things[:-1], painted))
    found = truth(edit.before, edit.after, drawn(edit.before, here), drawn(spoilt, there))
    assert found.carried_out
    assert not found.same_attributes


@given(SEEDS, KINDS_OF_EDIT)
def test_an_edit_in_another_layout_has_not_left_things_where_they_were(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    far = replace(there, places=tuple((1 - x, foot, size) for x, foot, size in there.places))
    found = truth(edit.before, edit.after, drawn(edit.before, here), drawn(edit.after, far))
    assert found.carried_out
    assert found.same_attributes
    assert not found.same_places
    assert not found.right


def test_the_input_must_show_what_is_to_change() -> None:
    edit, here, _ = case(3, "sky")
    other = replace(edit.before, sky=next(s for s in SKIES if s not in (edit.before.sky, edit.after.sky)))
    found = truth(edit.before, edit.after, drawn(other, here), drawn(edit.after, here))
    assert not found.carried_out


@given(SEEDS, KINDS_OF_EDIT)
def test_pixels_that_are_left_are_those_that_drawing_leaves(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    before, after = drawn(edit.before, here), drawn(edit.after, there)
    where = left(edit.before, edit.after, before[1], after[1])
    assert where.shape == (64, 64)
    differs = np.abs(before[0].astype(int) - after[0]).max(-1) > 12
    assert (differs & where).mean() < 0.02
    assert kind != "style" or where.mean() < 0.2


def test_attributes_and_swaps() -> None:
    for seed, kind in enumerate(EDITS):
        edit, *_ = case(seed, kind)
        old, new = attributes(edit.before), attributes(edit.after)
        changed = [key for key in old if old[key] != new[key]]
        assert len(changed) == (2 if kind in ("object", "replace") else 1)
        assert (swapped(edit.before, edit.after) is not None) == (kind in ("object", "replace"))
        assert old["style"] in STYLES
