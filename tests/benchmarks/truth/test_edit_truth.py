"""Drawn edits are judged right, and with any fault wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.truth.edit_truth import attributes, judge_edit, layout_after, swapped_kinds, unchanged_region
from benchmarks.truth.image_functions import MAX_PSNR
from miniworld.drawing.draw import draw
from miniworld.edits import EDITS, Edit, random_edit
from miniworld.scene import COLOURS, GROUNDS, SKIES, STYLES, Layout, Scene, random_layout
from miniworld.scene_reader import Reading

SEEDS = st.integers(0, 10_000)
KINDS_OF_EDIT = st.sampled_from(EDITS)


def drawn(scene: Scene, layout: Layout) -> tuple[np.ndarray, Reading]:
    """The drawn scene, and what a reader without faults reads from it."""
    edge = (layout.horizon, layout.slope, layout.bulge)
    return draw(scene, layout), Reading(scene, tuple(layout.places[: len(scene.things)]), edge)


def case(seed: int, kind: str) -> tuple[Edit, Layout, Layout]:
    """An edit, the layout before it, and the layout after it, in which objects that stay keep their places."""
    rng = np.random.default_rng(seed)
    edit, layout = random_edit(rng, kind, held_out=None), random_layout(rng)
    return edit, layout, layout_after(edit.before, edit.after, layout)


@given(SEEDS, KINDS_OF_EDIT)
def test_drawn_edit_is_right(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    truth = judge_edit(edit.before, edit.after, drawn(edit.before, here), drawn(edit.after, there))
    assert truth.made
    assert truth.attributes_kept
    assert truth.places_kept
    assert truth.psnr is None or truth.psnr > 24
    assert truth.right


@given(SEEDS, KINDS_OF_EDIT)
def test_unchanged_image_is_preserved_but_not_made(seed: int, kind: str) -> None:
    edit, here, _ = case(seed, kind)
    truth = judge_edit(edit.before, edit.after, drawn(edit.before, here), drawn(edit.before, here))
    assert not truth.made
    assert truth.preserved
    assert truth.psnr is None or truth.psnr == MAX_PSNR
    assert not truth.right


@given(SEEDS, KINDS_OF_EDIT)
def test_another_changed_attribute_is_wrong(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    other = "sky" if kind != "sky" else "ground"
    values = {"sky": SKIES, "ground": GROUNDS}[other]
    spoilt = replace(edit.after, **{other: next(v for v in values if v != getattr(edit.after, other))})
    truth = judge_edit(edit.before, edit.after, drawn(edit.before, here), drawn(spoilt, there))
    assert truth.made
    assert not truth.attributes_kept
    assert not truth.right


@given(SEEDS, st.sampled_from(("ground", "sky", "style", "object", "replace")))
def test_repainted_object_is_wrong(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    last = edit.after.things[-1]
    painted = replace(last, colour=next(colour for colour in COLOURS if colour != last.colour))
    spoilt = replace(edit.after, things=(*edit.after.things[:-1], painted))
    truth = judge_edit(edit.before, edit.after, drawn(edit.before, here), drawn(spoilt, there))
    assert truth.made
    assert not truth.attributes_kept


@given(SEEDS, KINDS_OF_EDIT)
def test_another_layout_is_wrong(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    far = replace(there, places=tuple((1 - x, foot, size) for x, foot, size in there.places))
    truth = judge_edit(edit.before, edit.after, drawn(edit.before, here), drawn(edit.after, far))
    assert truth.made
    assert truth.attributes_kept
    assert not truth.places_kept
    assert not truth.right


def test_input_must_show_the_old_attribute() -> None:
    edit, here, _ = case(3, "sky")
    other = replace(edit.before, sky=next(s for s in SKIES if s not in (edit.before.sky, edit.after.sky)))
    truth = judge_edit(edit.before, edit.after, drawn(other, here), drawn(edit.after, here))
    assert not truth.made


@given(SEEDS, KINDS_OF_EDIT)
def test_unchanged_region_is_that_of_drawings(seed: int, kind: str) -> None:
    edit, here, there = case(seed, kind)
    before, after = drawn(edit.before, here), drawn(edit.after, there)
    region = unchanged_region(edit.before, edit.after, before[1], after[1])
    assert region.shape == (64, 64)
    differs = np.abs(before[0].astype(int) - after[0]).max(-1) > 12
    assert (differs & region).mean() < 0.02
    assert kind != "style" or region.mean() < 0.2


def test_attributes_and_swapped_kinds() -> None:
    for seed, kind in enumerate(EDITS):
        edit, *_ = case(seed, kind)
        old, new = attributes(edit.before), attributes(edit.after)
        changed = [key for key in old if old[key] != new[key]]
        assert len(changed) == (2 if kind in ("object", "replace") else 1)
        assert (swapped_kinds(edit.before, edit.after) is not None) == (kind in ("object", "replace"))
        assert old["style"] in STYLES
