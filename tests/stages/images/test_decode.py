from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from stages.images.decode import MAX_PIXELS, ImageError, check_image, decode

SIDE = 64


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def gradient(width: int = 96, height: int = 64) -> Image.Image:
    """Red rises to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 40)], -1)
    return Image.fromarray(pixels.astype(np.uint8))


def decoded(data: bytes, width: int = SIDE, height: int = SIDE, upscale: float = 2) -> np.ndarray:
    return decode(data, width, height, upscale)


def test_an_image_of_the_models_size_keeps_its_pixels() -> None:
    image = gradient(SIDE, SIDE)
    assert np.array_equal(decoded(encoded(image)), np.asarray(image))


def test_the_centre_is_cut_out_and_not_distorted() -> None:
    image = gradient(128, 64)
    assert np.array_equal(decoded(encoded(image)), np.asarray(image)[:, 32:96])
    wide = decoded(encoded(image), 128, 64)
    assert np.array_equal(wide, np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_that_was_turned_is_turned_back(orientation: int) -> None:
    upright = gradient(SIDE, SIDE)
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turned[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "PNG", exif=exif)
    assert np.array_equal(decoded(data), np.asarray(upright))


def test_damaged_exif_costs_only_the_turn() -> None:
    image = gradient(SIDE, SIDE)
    assert np.array_equal(decoded(encoded(image, "PNG", exif=b"Exif\x00\x00II*\x00junk")), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr"])
def test_other_colours_become_rgb(mode: str) -> None:
    image = gradient(SIDE, SIDE).convert(mode)
    format = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    pixels = decoded(encoded(image, format))
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert np.abs(pixels - expected).mean() < 8


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, SIDE, SIDE // 2))
    image.putpixel((0, SIDE - 1), (0, 0, 0, 128))
    data = encoded(image.convert(mode), "TIFF" if mode == "PA" else "PNG")
    pixels = decoded(data)
    assert (pixels[: SIDE // 2] == 255).all()
    assert not (pixels[SIDE // 2 :, 1:] == 255).all(-1).any()


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (SIDE, SIDE), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, SIDE, SIDE // 2))
    pixels = decoded(encoded(image, "PNG", transparency=1))
    assert (pixels[: SIDE // 2] == 255).all()
    assert (pixels[SIDE // 2 :] == (10, 20, 30)).all()


def test_16_bits_are_scaled_and_not_cut_off() -> None:
    levels = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)
    for format in ("PNG", "TIFF"):
        pixels = decoded(encoded(Image.fromarray(levels), format))
        assert np.abs(pixels[..., 0] - levels / 257).max() <= 0.51
        assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((SIDE, SIDE), 0.5, np.float32), "floating-point numbers"),
        (np.full((SIDE, SIDE), 70_000, np.int32), "more than 16 bits"),
    ],
)
def test_numbers_that_are_no_colours_are_refused(array: np.ndarray, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decoded(encoded(Image.fromarray(array), "TIFF"))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    pixels = decoded(data).astype(int)
    assert np.abs(pixels - (255, 0, 0)).max() < 6


def test_a_colour_profile_is_followed() -> None:
    image = Image.new("RGB", (SIDE, SIDE), (200, 60, 60))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    assert (decoded(encoded(image, "PNG", icc_profile=profile.tobytes())) == (200, 60, 60)).all()
    assert (decoded(encoded(image, "PNG", icc_profile=b"no profile")) == (200, 60, 60)).all()


def test_a_file_that_is_cut_off_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    for format in ("JPEG", "PNG", "WEBP", "GIF"):
        data = encoded(Image.fromarray(noise), format)
        with pytest.raises(ImageError, match=r"^the image is cut off or damaged|^not an image"):
            decoded(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"no image at all", b"<svg></svg>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^(not an image that can be read|the image is empty)"):
        check_image(data, 0, 2)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says that it is this large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(10_000, 9_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_by_its_head(width: int, height: int) -> None:
    with pytest.raises(
        ImageError, match=rf"pixels, more than {MAX_PIXELS:,}|more than {MAX_PIXELS:,} pixels"
    ):
        check_image(bomb(width, height), 0, 2)


def test_an_image_is_enlarged_so_much_and_no_more() -> None:
    small = encoded(gradient(48, 32))
    check_image(small, SIDE, 2)
    assert decoded(small).shape == (SIDE, SIDE, 3)
    reason = r"the image has 48 × 31 pixels, too few for the model's 64: captions.image_upscale=2"
    smaller = encoded(gradient(48, 31))
    for refuse in (lambda: check_image(smaller, SIDE, 2), lambda: decoded(smaller)):
        with pytest.raises(ImageError, match=reason):
            refuse()
    check_image(smaller, 0, 1)
