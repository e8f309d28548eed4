from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import filters
from conf.schema import Filter
from stages.candidates.reconstruction import (
    EXACT,
    RECONSTRUCTION_SCORES,
    peak_ratio,
    reconstruction_bounds,
    score_reconstructions,
)
from tests.pictures import draw_picture


def test_equal_images_have_the_scores_of_a_generated_source(clip_folder: Path) -> None:
    clip = filters.load_clip(f"local-dir:{clip_folder}", None, "cpu")
    image, other = (np.asarray(draw_picture(number)) for number in range(2))
    equal, unlike = score_reconstructions([image, image], [image.copy(), other], clip)
    assert equal == pytest.approx(EXACT)
    assert all(unlike[name] < EXACT[name] for name in RECONSTRUCTION_SCORES)
    assert score_reconstructions([], [], clip) == []


def test_the_peak_ratio_is_that_of_the_mean_square() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    assert peak_ratio(image, image + np.uint8(10)) == pytest.approx(20 * math.log10(25.5))
    assert peak_ratio(image, image) == EXACT["reconstruction_psnr"]


def test_a_threshold_is_a_bound_and_null_is_none() -> None:
    bounds = reconstruction_bounds(Filter(reconstruction_psnr=20.0))
    assert list(bounds) == list(RECONSTRUCTION_SCORES)
    assert bounds["reconstruction_psnr"].least == 20
    assert bounds["reconstruction_clip"] == filters.Bounds()
