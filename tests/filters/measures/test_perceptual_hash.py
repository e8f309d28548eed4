from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from filters.measures.perceptual_hash import BITS, distance, perceptual_hash
from miniworld.drawing.draw import draw
from miniworld.scene import random_layout, random_scene


def image(seed: int, shape: tuple[int, int] = (40, 56)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@given(seed=st.integers(0, 99), height=st.integers(1, 90), width=st.integers(1, 90))
def test_the_hash_has_192_bits_for_any_size(seed: int, height: int, width: int):
    made = perceptual_hash(image(seed, (height, width)))
    assert (made.dtype, made.shape) == (np.uint64, (3,))
    assert distance(made, made) == 0
    assert distance(made, ~made) == BITS


def test_a_ramp_rises_everywhere_and_its_mirror_nowhere():
    ramp = np.tile(np.arange(0, 250, 2, dtype=np.uint8)[None, :, None], (50, 1, 3))
    assert (perceptual_hash(ramp) == np.uint64(2**64 - 1)).all()
    assert (perceptual_hash(ramp[:, ::-1]) == 0).all()
    # The first channel's bits are the first number, rows from the top, from the highest bit.
    ramp[25:, :, 0] = 7
    assert [int(bits) for bits in perceptual_hash(ramp)] == [0xFFFFFFFF00000000, 2**64 - 1, 2**64 - 1]


def scenes(count: int) -> list[np.ndarray]:
    drawn = np.random.default_rng(0)
    return [np.asarray(draw(random_scene(drawn), random_layout(drawn))) for _ in range(count)]


@pytest.mark.parametrize("quality", [60, 85])
def test_a_picture_saved_or_resized_is_near_itself_and_no_other(quality: int):
    hashes, again = [], []
    for picture in scenes(60):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        saved = Image.open(file).convert("RGB").resize((96, 96), Image.Resampling.BICUBIC)
        hashes.append(perceptual_hash(picture))
        again.append(perceptual_hash(np.asarray(saved)))
    own = distance(np.stack(hashes), np.stack(again))
    others = [distance(a, b) for k, a in enumerate(hashes) for b in hashes[:k]]
    assert np.percentile(own, 90) <= 16
    assert np.percentile(others, 0.2) > 16


def test_hues_in_the_same_place_differ():
    ground = np.full((64, 64, 3), 200, np.uint8)
    red, blue = ground.copy(), ground.copy()
    red[16:48, 16:48] = (200, 30, 30)
    blue[16:48, 16:48] = (30, 30, 200)
    assert distance(perceptual_hash(red), perceptual_hash(blue)) >= 8
