"""The choice among what is stored, held to the choice among all."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import filters
from conf.schema import Filter, ImageFormat, Measure
from pipeline.refilter.choose import NO_IMAGE, Chooser
from pipeline.refilter.stored_unit import StoredUnit
from stages.candidates.near_duplicates import EarlierSamples
from stages.candidates.scoring import LEFT_EARLY
from stages.formats.tar import encode_image
from stages.records import Candidate, CaptionPair, Unit
from tests.stages.unit_parts import candidate, picture, pixels

PAIRS = (CaptionPair("a", "b", "c"), CaptionPair("d", "e", "f"))
NAMES = [field.name for field in fields(filters.ClipScores)]


def held(seed: int, stored: set[int]) -> StoredUnit:
    """Two pairs of 3 samples of 3 candidates each, with the images of those in ``stored``."""
    drawn = np.random.default_rng(seed)
    candidates = []
    for number in range(18):
        pair, sample, tau = number // 9, number // 3 % 3, number % 3 / 4
        # Few values, so that some are equal.
        scores = {name: float(np.float32(drawn.integers(0, 6) / 5)) for name in NAMES}
        candidates.append(replace(candidate(PAIRS[pair], sample, ""), tau=tau, **scores))
    images = {place: (picture(place // 3), picture(100 + place)) for place in sorted(stored)}
    return StoredUnit(Unit(0, PAIRS), {}, tuple(candidates), images, (), ())


def chosen(unit: StoredUnit, thresholds: filters.Thresholds) -> list[str]:
    reasons = []
    for pair in PAIRS:
        own = [c for c in unit.candidates if c.pair_id == pair.id]
        columns = (np.array([getattr(c, name) for c in own], np.float32) for name in NAMES)
        scores = filters.ClipScores(*columns)
        reasons += filters.choose([c.sample_index for c in own], scores, thresholds)
    return reasons


def limits(image: float, most: int) -> dict:
    return {
        "clip_sim_0": 0.1,
        "clip_sim_1": 0.1,
        "clip_sim_dir": 0.1,
        "clip_sim_image": image,
        "max_per_pair": most,
    }


@given(
    seed=st.integers(0, 999),
    stored=st.sets(st.integers(0, 17)),
    image=st.sampled_from([0.0, 0.3, 0.7]),
    most=st.integers(1, 3),
)
def test_stored_candidates_are_chosen_as_if_alone(seed: int, stored: set[int], image: float, most: int):
    unit, rules = held(seed, stored), limits(image, most)
    candidates, missing = Chooser(Filter(**rules)).choose(unit)
    fresh = chosen(unit, filters.Thresholds(**rules))
    expected = [place for place, reason in enumerate(fresh) if not reason]
    places = {id(one): place for place, one in enumerate(candidates)}
    assert [places[id(one)] for one in missing] == [place for place in expected if place not in stored]
    kept = {place for place, one in enumerate(candidates) if one.kept}
    assert kept <= stored
    assert set(expected) & stored <= kept or len(missing) > 0
    # The choice among the stored ones alone.
    alone = replace(
        unit,
        candidates=tuple(
            c if place in stored else replace(c, clip_sim_image=-1.0)
            for place, c in enumerate(unit.candidates)
        ),
    )
    assert kept == {p for p, reason in enumerate(chosen(alone, filters.Thresholds(**rules))) if not reason}
    if not missing:
        assert [one.reason for one in candidates] == fresh
    for place, one in enumerate(candidates):
        assert one.kept == (one.reason == "")
        assert one.reason != NO_IMAGE or place not in stored


def test_a_new_measure_applies_to_stored_candidates_only():
    class Brightness:
        def score(self, inputs, outputs):
            return np.array([image.mean() / 255 for image in outputs], np.float32)

    unit = held(1, {0, 1, 2, 3, 4, 5})
    rules = Filter(**limits(0.0, 3), measures=[Measure(kind="changed_area", name="bright", least=1.0)])
    candidates, _ = Chooser(rules, {"bright": Brightness()}).choose(unit)
    taken = [c.measures["bright"] for c in candidates]
    assert not np.isnan(taken[:6]).any()
    assert np.isnan(taken[6:]).all()
    assert {c.reason for c in candidates[:6]} <= {*NAMES, "bright"}
    assert "bright" in {c.reason for c in candidates[:6]}
    assert "bright" not in {c.reason for c in candidates[6:]}


@pytest.mark.parametrize(("bits", "kept"), [(0, 4), (192, 2)])
def test_of_near_duplicates_in_a_pair_the_best_stays(bits: int, kept: int):
    unit = held(3, set(range(18)))
    images = {
        k: tuple(encode_image(pixels(10 * k + n), ImageFormat.png, 100) for n in range(2)) for k in range(18)
    }
    unit = replace(unit, images=images)
    rules = Filter(**{**limits(-1.0, 2), **dict.fromkeys(NAMES, -1.0)}, near_duplicate=bits)
    candidates, _ = Chooser(rules).choose(unit)
    best: list[Candidate] = [
        max((c for c in unit.candidates if c.pair_id == p.id), key=lambda c: c.clip_sim_dir) for p in PAIRS
    ]
    assert sum(c.kept for c in candidates) == kept
    for one in best:
        assert [c for c in candidates if c.kept and c.clip_sim_dir == one.clip_sim_dir]


def test_across_pairs_both_images_have_to_be_near():
    before = EarlierSamples(0)
    a, b, c = (pixels(k) for k in range(3))
    before.add((a, b))
    assert (a, b) in before
    assert (a, c) not in before
    assert (c, b) not in before
    for k in range(3000):
        before.add((pixels(k + 10), pixels(k + 11)))
    assert (pixels(2000), pixels(2001)) in before
    assert (a, b) in before


def test_what_was_left_on_the_way_stays_so():
    unit = held(5, set(range(18)))
    left = {place for place in range(18) if place % 3 == 1}
    candidates = tuple(
        replace(c, reason=LEFT_EARLY) if place in left else c for place, c in enumerate(unit.candidates)
    )
    rules = Filter(**{**limits(-1.0, 3), **dict.fromkeys(NAMES, -1.0)})
    again, missing = Chooser(rules).choose(replace(unit, candidates=candidates))
    assert {place for place, one in enumerate(again) if one.reason == LEFT_EARLY} == left
    assert sum(one.kept for one in again) == 6
    assert not missing
