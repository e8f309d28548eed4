from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.truth.reader_accuracy import (
    ATTRIBUTES,
    agreement,
    drawn_pairs,
    judge_pairs,
    unseen_layouts,
)
from miniworld.calibrate import FAULTS
from miniworld.edits import EDITS
from miniworld.scene import COLOURS, GROUNDS, SKIES, STYLES, random_scene
from miniworld.scene_reader import load_reader

VALUES = {"style": STYLES, "ground": GROUNDS, "sky": SKIES}


@given(st.integers(0, 10_000), st.sampled_from(ATTRIBUTES))
def test_one_misread_attribute_is_the_one_that_disagrees(seed: int, attribute: str):
    scene = random_scene(np.random.default_rng(seed), held_out=None)
    assert all(agreement(scene, scene).values())
    first, *others = scene.things
    if attribute in VALUES:
        value = next(one for one in VALUES[attribute] if one != getattr(scene, attribute))
        read = replace(scene, **{attribute: value})
    elif attribute == "colour":
        colour = next(colour for colour in COLOURS if colour != first.colour)
        read = replace(scene, things=(replace(first, colour=colour), *others))
    else:
        read = replace(scene, things=tuple(others))
    assert [name for name, agrees in agreement(read, scene).items() if not agrees] == [attribute]


def test_scenes_are_drawn_alike_every_time_and_differ():
    scenes = unseen_layouts(30)
    assert scenes == unseen_layouts(30)
    assert unseen_layouts(10) == scenes[:10]
    assert len({str(entry) for entry in scenes}) == 30


def test_every_kind_of_edit_has_a_right_pair_and_every_fault():
    pairs = drawn_pairs(2)
    counted = Counter((pair.edit.kind, pair.fault) for pair in pairs)
    assert counted == {(kind, fault): 2 for kind in EDITS for fault in ("", *FAULTS)}
    for pair in pairs:
        assert all(image.shape == (64, 64, 3) and image.dtype == np.uint8 for image in pair.images)


def test_the_reader_tells_right_pairs_from_faulty_ones():
    pairs = drawn_pairs(1)
    truths = judge_pairs(load_reader(), pairs)
    shares = {
        fault: np.mean(
            [truth.right for pair, truth in zip(pairs, truths, strict=True) if pair.fault == fault]
        )
        for fault in ("", *FAULTS)
    }
    assert shares[""] > 0.8
    assert all(shares[fault] < 0.1 for fault in FAULTS)
