"""Decodes input images of any kind to RGB at the model's size, and finds those that are no use."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from conf.messages import error_line

MAX_PIXELS = 80_000_000
"""Pixels of an image; one with more may be made to fill the memory."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")
"""Formats of pictures. Pillow opens others by starting programs, such as Ghostscript."""
_ERRORS = (OSError, ValueError, SyntaxError, TypeError, IndexError, EOFError, struct.error, zlib.error)
"""Errors that Pillow raises for damaged files."""
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")

# A large image is refused; the warning about it would only repeat that.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(ValueError):
    """An input image cannot be used: one line."""


def check_image(data: bytes, side: int, upscale: float) -> None:
    """Reads the head of an image file, and checks its format and its size.

    Args:
        data: the file.
        side: the side of the model's images; 0 if it is not known.
        upscale: the largest factor by which an image may be enlarged.

    Raises:
        ImageError: it is no image of a known format, has too many pixels, or is too small.
    """
    with _open(data) as image:
        if min(image.size) * upscale < side:
            raise _too_small(image, side, upscale)


def decode(data: bytes, width: int, height: int, upscale: float) -> NDArray[np.uint8]:
    """Decodes an image to uint8 (``height``, ``width``, 3): upright, in sRGB, on white, its centre cut out.

    Of an animation the first frame is used. 16 bits become 8.

    Raises:
        ImageError: as ``check_image``, and for a file that is cut off or damaged.
    """
    with _open(data) as image:
        try:
            image.load()
            picture = _to_rgb(_turn_upright(image))
        except (MemoryError, ImageError):
            raise
        except Exception as error:
            raise ImageError(f"the image is cut off or damaged: {error_line(error)}") from error
    # The largest part of the picture's centre that has the wanted shape.
    share = min(picture.width / width, picture.height / height)
    if share * upscale < 1:
        raise _too_small(picture, max(width, height), upscale)
    left, top = (picture.width - share * width) / 2, (picture.height - share * height) / 2
    box = (left, top, left + share * width, top + share * height)
    return np.array(picture.resize((width, height), Image.Resampling.LANCZOS, box))


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageError("the image is empty")
    Image.init()  # does nothing from the second time on
    known = [format for format in FORMATS if format in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(data), formats=known)
    except Image.DecompressionBombError as error:
        raise ImageError(f"the image has more than {MAX_PIXELS:,} pixels") from error
    except _ERRORS as error:
        raise ImageError(f"not an image that can be read ({', '.join(FORMATS[:6])}, …)") from error
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageError(f"the image has {pixels:,} pixels, more than {MAX_PIXELS:,}")
    return image


def _too_small(image: Image.Image, side: int, upscale: float) -> ImageError:
    return ImageError(
        f"the image has {image.width} × {image.height} pixels, too few for the model's {side}: "
        f"captions.image_upscale={upscale:g} is the largest factor"
    )


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _ERRORS:
        # Damaged EXIF data does not say how the image lies.
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP:
        image = _from_deep(image)
    elif image.mode == "F":
        raise ImageError("the image holds floating-point numbers, not colours")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return _to_srgb(image) or image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """Converts 16 bits to 8, where Pillow would cut off all that is brighter than 255."""
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() > 0xFFFF:
        raise ImageError("the image has more than 16 bits in a pixel")
    return Image.fromarray(((levels + 128) // 257).astype(np.uint8))


def _to_srgb(image: Image.Image) -> Image.Image | None:
    """Converts from the colour space that the file names; None if it names none or the profile does not work."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return None
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, space, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
