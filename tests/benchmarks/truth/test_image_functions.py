from __future__ import annotations

import numpy as np
import pytest

from benchmarks.truth.image_functions import dilate, psnr, through_vae
from miniworld.drawing.draw import draw
from miniworld.scene import random_layout, random_scene


def test_psnr_covers_the_region_alone():
    before = np.full((8, 8, 3), 100, dtype=np.uint8)
    after, region = before.copy(), np.ones((8, 8), dtype=bool)
    after[0] = 250
    region[0] = False
    assert psnr(before, after, region) == 60.0
    assert psnr(before, before + np.uint8(10), region) == pytest.approx(20 * np.log10(255 / 10))


def test_dilate_grows_by_three_pixels():
    mask = np.zeros((16, 16), dtype=bool)
    mask[8, 8] = True
    assert dilate(mask).sum() == 7 * 7
    assert dilate(mask)[5:12, 5:12].all()


def test_vae_round_trip_is_close_to_drawn_images():
    rng = np.random.default_rng(0)
    images = np.stack([draw(random_scene(rng), random_layout(rng)) for _ in range(2)])
    decoded = through_vae(images)
    assert decoded.dtype == np.uint8
    for before, after in zip(images, decoded, strict=True):
        assert psnr(before, after, np.ones((64, 64), bool)) > 25
