from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from filters.clip.clip_similarity import similarities


def unit(rows: int, seed: int, width: int = 8) -> torch.Tensor:
    return F.normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


def by_hand(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@given(seed=st.integers(0, 2**20))
def test_each_score_is_its_cosine(seed: int) -> None:
    image_0, image_1, text_0, text_1 = (unit(3, 4 * seed + index) for index in range(4))
    scores = similarities(image_0, image_1, text_0, text_1)
    for row in range(3):
        i0, i1, t0, t1 = (feature[row].double().numpy() for feature in (image_0, image_1, text_0, text_1))
        assert scores.clip_sim_0[row] == pytest.approx(by_hand(i0, t0), abs=1e-6)
        assert scores.clip_sim_1[row] == pytest.approx(by_hand(i1, t1), abs=1e-6)
        assert scores.clip_sim_dir[row] == pytest.approx(by_hand(i1 - i0, t1 - t0), abs=1e-5)
        assert scores.clip_sim_image[row] == pytest.approx(by_hand(i0, i1), abs=1e-6)


@given(seed=st.integers(0, 2**20))
def test_the_direction_ignores_what_both_sides_share(seed: int) -> None:
    image_0, image_1, text_0, text_1, shared = (unit(2, 5 * seed + index) for index in range(5))
    moved = similarities(image_0 + shared, image_1 + shared, text_0, text_1)
    assert moved.clip_sim_dir == pytest.approx(
        similarities(image_0, image_1, text_0, text_1).clip_sim_dir, abs=1e-4
    )


def test_a_direction_of_length_zero_scores_zero() -> None:
    image, other, text, changed = (unit(4, seed) for seed in range(4))
    assert (similarities(image, image, text, changed).clip_sim_dir == 0).all()
    assert (similarities(image, other, text, text).clip_sim_dir == 0).all()
    assert similarities(image, image, text, text).clip_sim_image == pytest.approx(1)


def test_scores_are_float32_within_one_for_any_feature_type() -> None:
    features = [unit(50, seed).half() for seed in range(2)]
    scores = similarities(features[0], features[0], features[1], -features[1])
    for name in ("clip_sim_0", "clip_sim_1", "clip_sim_dir", "clip_sim_image"):
        values = getattr(scores, name)
        assert values.dtype == np.float32
        assert values.shape == (50,)
        assert np.abs(values).max() <= 1
