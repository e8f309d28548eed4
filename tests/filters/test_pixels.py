from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from filters import FilterError
from filters.pixels import encode_distinct, to_pixels


def test_equal_images_are_encoded_once_and_keep_their_order() -> None:
    first, second = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    batches: list[int] = []

    def encode(images):
        batches.append(len(images))
        return (int(image.sum()) for image in images)

    sums = encode_distinct([second, first, second.copy(), Image.fromarray(first)], encode)
    assert sums == [int(image.sum()) for image in (second, first, second, first)]
    assert batches == [2]


def test_pil_images_of_any_mode_become_rgb() -> None:
    grey = Image.fromarray(np.random.default_rng(5).integers(0, 256, (8, 8, 3), np.uint8)).convert("L")
    pixels = to_pixels(grey, "image 0")
    assert pixels.shape == (8, 8, 3)
    assert (pixels == np.asarray(grey)[..., None]).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), "image 4 is float32: give uint8 in 0 to 255"),
        (np.zeros((8, 8), np.uint8), r"image 4 has the shape \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"image 4 has the shape \(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), r"image 4 has the shape \(0, 8, 3\)"),
    ],
)
def test_other_arrays_are_an_error(image: np.ndarray, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        to_pixels(image, "image 4")
