"""Samples as bytes: encoded images in WebDataset tars. Equal samples have equal bytes.

A tar holds the files of a sample side by side, named ``KEY.input_image.png`` and so on. Its bytes are those of
webdataset's ``TarWriter`` with a fixed time, user and group. Python's tarfile writes them, because importing webdataset
imports torch: 2.4 s and 490 MB for each process that encodes images, of which most need no torch.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import numpy as np
from PIL import Image

from conf.schema import ImageFormat, Shards
from stages.records import Rejected, Sample

EXTENSIONS = {ImageFormat.png: "png", ImageFormat.jpeg: "jpg", ImageFormat.webp: "webp"}
Files = dict[str, bytes]
"""The files of a sample by their names without ``KEY.``: ``edit_prompt.txt``, ``input_image.png``, …"""


def encode_image(image: np.ndarray, format: ImageFormat, quality: int = 100) -> bytes:
    """Encodes a uint8 image (H, W, 3), or a grey one (H, W). Equal pixels give equal bytes.

    ``quality`` is 1 to 100, for JPEG and WebP; WebP of quality 100 is lossless, as PNG is.
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(image)
    if format is ImageFormat.png:
        picture.save(buffer, "PNG")
    elif format is ImageFormat.jpeg:
        # Full chroma resolution, because an edit often changes small coloured things.
        picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        picture.save(buffer, "WEBP", quality=quality, lossless=quality == 100)
    return buffer.getvalue()


def decode_image(data: bytes) -> np.ndarray:
    """Decodes an image to uint8 (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def as_stored(image: np.ndarray, shards: Shards) -> np.ndarray:
    """Returns the pixels that a reader of the shards sees, uint8 (H, W, 3)."""
    lossless = shards.format is ImageFormat.png or (
        shards.format is ImageFormat.webp and shards.quality == 100
    )
    return image if lossless else decode_image(encode_image(image, shards.format, shards.quality))


def encode_sample(sample: Sample, format: ImageFormat, quality: int = 100) -> tuple[str, Files]:
    """Returns the key and the files of a sample."""
    source, edit = (
        encode_image(image, format, quality) for image in (sample.input_image, sample.edited_image)
    )
    return sample.key, sample_files(source, edit, sample.edit_prompt, sample.metadata, EXTENSIONS[format])


def sample_files(
    input_image: bytes, edited_image: bytes, edit_prompt: str, metadata: dict[str, Any], extension: str
) -> Files:
    """Returns the files of a sample whose images are encoded already."""
    return {
        "edit_prompt.txt": edit_prompt.encode(),
        f"edited_image.{extension}": edited_image,
        f"input_image.{extension}": input_image,
        "json": json.dumps(metadata, ensure_ascii=False, sort_keys=True).encode(),
    }


def encode_rejected(rejected: Rejected, format: ImageFormat, quality: int = 100) -> tuple[str, Files]:
    """Returns the key and the images of a sample's rejected candidates."""
    source = encode_image(rejected.input_image, format, quality)
    edits = {
        index: (source, encode_image(image, format, quality))
        for index, image in rejected.edited_images.items()
    }
    return rejected.key, rejected_files(edits, EXTENSIONS[format])


def rejected_files(images: Mapping[int, tuple[bytes, bytes]], extension: str) -> Files:
    """Returns the files of (input image, edited image) by candidate index; the input image is stored once.

    ``edited_image.003.png`` is the image of the sample's fourth candidate.
    """
    edits = {f"edited_image.{index:03d}.{extension}": edited for index, (_, edited) in images.items()}
    source, _ = next(iter(images.values()))
    return edits | {f"input_image.{extension}": source}


def write_samples(samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> bytes:
    """Returns an uncompressed tar of the samples, each a key and its files, in the order given."""
    buffer = io.BytesIO()
    # The format is named because Python's default may change.
    with tarfile.open(fileobj=buffer, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for key, files in samples:
            for name, data in files.items():
                member = tarfile.TarInfo(f"{key}.{name}")
                member.size, member.mtime, member.mode = len(data), 0, 0o644
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read_samples(source: bytes | IO[bytes]) -> Iterator[tuple[str, Files]]:
    """Yields the key and the files of each sample, in order. Raises tarfile.TarError."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    sample_key, files = "", Files()
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            key, _, name = member.name.partition(".")
            if files and key != sample_key:
                yield sample_key, files
                files = {}
            sample_key = key
            content = archive.extractfile(member)
            if content is not None:
                files[name] = content.read()
    if files:
        yield sample_key, files


def sample_ends(data: bytes) -> list[int]:
    """Returns the byte offset at which each sample of a tar ends, headers and padding included.

    The first sample begins at 0. Samples copied one after the other, followed by ``closing_blocks``, are the tar that
    ``write_samples`` makes of them. Raises tarfile.TarError.
    """
    ends, sample_key, offset = list[int](), "", 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            key = member.name.partition(".")[0]
            if offset and key != sample_key:
                ends.append(offset)
            sample_key = key
            offset = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return [*ends, offset] if offset else ends


def closing_blocks(size: int) -> bytes:
    """Returns the zero bytes that close a tar of ``size`` bytes: two empty blocks, then padding to a whole record."""
    return bytes(-(-(size + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - size)
