from __future__ import annotations

import numpy as np
import pytest

from conf.schema import ImageFormat, Shards
from stages.formats.images import as_stored, decode, encode

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize("format", [ImageFormat.png, ImageFormat.webp])
def test_lossless_is_lossless(format: ImageFormat):
    np.testing.assert_array_equal(decode(encode(IMAGE, format, 100)), IMAGE)


@pytest.mark.parametrize("format", [ImageFormat.jpeg, ImageFormat.webp])
def test_quality_trades_bytes_for_likeness(format: ImageFormat):
    low, high = encode(IMAGE, format, 20), encode(IMAGE, format, 95)
    assert len(low) < len(high)

    def error(data: bytes) -> float:
        return float(np.abs(decode(data).astype(int) - IMAGE.astype(int)).mean())

    assert error(high) < error(low)


@pytest.mark.parametrize("format", list(ImageFormat))
def test_same_pixels_same_bytes(format: ImageFormat):
    assert encode(IMAGE, format, 90) == encode(IMAGE.copy(), format, 90)


@pytest.mark.parametrize("quality", [90, 100])
@pytest.mark.parametrize("format", list(ImageFormat))
def test_as_stored_is_what_comes_back(format: ImageFormat, quality: int):
    stored = as_stored(IMAGE, Shards(samples=1, format=format, quality=quality))
    np.testing.assert_array_equal(stored, decode(encode(IMAGE, format, quality)))
