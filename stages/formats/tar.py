"""Samples as members of a tar, with everything fixed that a tar could vary in: equal samples, equal bytes."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from conf.schema import ImageFormat
from stages.formats.images import EXTENSIONS, encode
from stages.records import Rejected, Sample

BLOCK = tarfile.BLOCKSIZE
_header = struct.Struct("100s 24x 11s 122x 6s 82x 155s 12x").unpack_from
"""Of a member's header in 1988's format: name, size in octal, what the format is known by, front of a long name."""


def members(sample: Sample, format: ImageFormat, quality: int = 100) -> Iterator[tuple[str, bytes]]:
    """The files of one sample in the order of their names: WebDataset's ``KEY.part.extension``."""
    return encoded_members(
        sample.key,
        encode(sample.input_image, format, quality),
        encode(sample.edited_image, format, quality),
        sample.edit_prompt,
        sample.metadata,
        EXTENSIONS[format],
    )


def encoded_members(
    key: str,
    input_image: bytes,
    edited_image: bytes,
    edit_prompt: str,
    metadata: dict[str, Any],
    extension: str,
) -> Iterator[tuple[str, bytes]]:
    """``members`` of a sample whose images are encoded already."""
    yield f"{key}.edit_prompt.txt", edit_prompt.encode()
    yield f"{key}.edited_image.{extension}", edited_image
    yield f"{key}.input_image.{extension}", input_image
    yield f"{key}.json", json.dumps(metadata, ensure_ascii=False, sort_keys=True).encode()


def rejected_members(
    rejected: Rejected, format: ImageFormat, quality: int = 100
) -> Iterator[tuple[str, bytes]]:
    """The images of a sample's rejected candidates: ``KEY.edited_image.003.png`` is that of its fourth."""
    source = encode(rejected.input_image, format, quality)
    images = {
        place: (source, encode(image, format, quality)) for place, image in rejected.edited_images.items()
    }
    return encoded_rejected(rejected.key, images, EXTENSIONS[format])


def encoded_rejected(
    key: str, images: Mapping[int, tuple[bytes, bytes]], extension: str
) -> Iterator[tuple[str, bytes]]:
    """``rejected_members`` of encoded images: input and edited, one pair or more, by the candidate's place."""
    for place, (_, edited) in images.items():
        yield f"{key}.edited_image.{place:03d}.{extension}", edited
    source, _ = next(iter(images.values()))
    yield f"{key}.input_image.{extension}", source


def pack_members(files: Iterable[tuple[str, bytes]]) -> bytes:
    """An uncompressed tar of ``files``."""
    buffer = io.BytesIO()
    with open_tar(buffer) as tar:
        for name, data in files:
            add_member(tar, name, data)
    return buffer.getvalue()


def open_tar(stream: IO[bytes]) -> tarfile.TarFile:
    """An uncompressed tar that is written as a stream, in one format whatever Python's default."""
    return tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT)


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), 0, 0o644
    tar.addfile(info, io.BytesIO(data))


def read_members(source: bytes | IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of a tar, in its order. Raises tarfile.TarError."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for info in tar:
            member = tar.extractfile(info)
            if member is not None:
                yield info.name, member.read()


def read_samples(source: bytes | IO[bytes]) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """The samples of a part or shard: each key with its files, in its order. Raises tarfile.TarError."""
    key, files = "", list[tuple[str, bytes]]()
    for name, content in read_members(source):
        member_key = name.split(".", 1)[0]
        if files and member_key != key:
            yield key, files
            files = []
        key = member_key
        files.append((name, content))
    if files:
        yield key, files


def sample_ends(data: bytes) -> list[int]:
    """Where in a part's bytes each of its samples ends, headers and padding included; the first begins at 0.

    One after the other, with ``end`` after the last, samples are the tar that ``open_tar`` would make of their members,
    at the speed of copying. For tars of ``open_tar`` alone. Raises tarfile.TarError for what is none.
    """
    ends, at, key = list[int](), 0, b""
    while at < len(data) and data[at]:
        # What tarfile.TarInfo.frombuf does in thirty times as long.
        name, size, magic, front = _header(data, at) if at + BLOCK <= len(data) else (b"", b"", b"", b"")
        if magic != b"ustar\0":
            raise tarfile.TarError(f"no header of a member at byte {at}")
        if front[0]:
            name = front.partition(b"\0")[0] + b"/" + name
        member_key = name.partition(b"\0")[0].partition(b".")[0]
        if at and member_key != key:
            ends.append(at)
        key = member_key
        at += BLOCK + -(-int(size, 8) // BLOCK) * BLOCK
    if at:
        ends.append(at)
    return ends


def end(size: int) -> bytes:
    """What ends a tar of ``size`` bytes: two empty blocks, and more up to whole records."""
    return bytes(-(-(size + 2 * BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE - size)
