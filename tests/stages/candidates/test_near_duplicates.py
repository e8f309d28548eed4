from __future__ import annotations

import numpy as np

from stages.candidates.near_duplicates import EarlierSamples, ImagePair, find_near_candidates

RANDOM = np.random.default_rng(0)
FIRST, SECOND, THIRD = (
    RANDOM.integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(3)
)


def test_one_near_image_is_enough_within_a_pair():
    stored: list[ImagePair | None] = [(FIRST, SECOND), (FIRST, THIRD), (SECOND, THIRD), (SECOND, FIRST), None]
    near = find_near_candidates(4, stored.__getitem__)
    assert near is not None
    assert near(0, 1), "the inputs are equal"
    assert near(1, 2), "the edits are equal"
    assert not near(0, 2), "input and edit are compared with their like"
    assert not near(0, 4), "an image that is not stored is near to nothing"


def test_nothing_is_compared_without_a_limit():
    assert find_near_candidates(None, [(FIRST, SECOND)].__getitem__) is None


def test_earlier_samples_are_near_in_both_images():
    earlier = EarlierSamples(4)
    assert (FIRST, SECOND) not in earlier
    earlier.add((FIRST, SECOND))
    assert (FIRST, SECOND) in earlier
    assert (FIRST, THIRD) not in earlier
    for _ in range(1100):
        earlier.add((SECOND, THIRD))
    assert (FIRST, SECOND) in earlier, "growing keeps the first ones"
