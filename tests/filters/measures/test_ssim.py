from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from filters.errors import FilterError
from filters.measures.ssim import Ssim


def reference(first: np.ndarray, second: np.ndarray) -> float:
    """Wang et al. 2004, eq. 13, a channel at a time, the image mirrored beyond its borders."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()
    means = []
    for channel in range(3):
        x, y = first[..., channel] / 255.0, second[..., channel] / 255.0

        def blur(image: np.ndarray) -> np.ndarray:
            for axis in (0, 1):
                width = [(5, 5) if axis == own else (0, 0) for own in (0, 1)]
                windows = sliding_window_view(np.pad(image, width, mode="reflect"), 11, axis=axis)
                image = windows @ window
            return image

        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = 0.01**2, 0.03**2
        means.append(((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
    return float(np.mean(means))


def test_the_score_is_the_formula_of_the_paper() -> None:
    draw = np.random.default_rng(0)
    first = draw.integers(0, 256, (4, 24, 32, 3), dtype=np.uint8)
    second = np.clip(first + draw.normal(0, 30, first.shape), 0, 255).astype(np.uint8)
    scores = Ssim().score(first, second)
    expected = [reference(a.astype(float), b.astype(float)) for a, b in zip(first, second, strict=True)]
    assert scores == pytest.approx(expected, abs=1e-4)
    assert Ssim().score(first[1:2], second[1:2])[0] == scores[1]
    assert Ssim().score(first, first) == pytest.approx([1.0] * 4)


def test_an_image_smaller_than_the_window_is_an_error() -> None:
    small = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(FilterError, match="needs 11 pixels"):
        Ssim().score(small, small)
