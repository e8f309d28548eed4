"""Reads WebDataset: samples in tars, each a JSON file with the captions beside a picture of the input caption."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from stages.captions.jsonl import parse_object
from stages.captions.source import (
    CaptionsError,
    CaptionSource,
    ImagePart,
    SourceRecord,
    list_files,
    suggest_sibling,
    until_broken,
)
from stages.images.place import MAX_BYTES, relative_place

SUFFIXES = frozenset({"jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "bmp", "avif", "jp2"})
_MAX_JSON = 16 * 2**20
"""Bytes of a JSON file; a longer one is set aside."""


def open_webdataset(source: CaptionSource) -> Iterator[SourceRecord]:
    """Yields the samples of all tars, by file name, counted from 1 in each tar. A picture may be absent.

    Raises:
        CaptionsError: there is no such file, or a file is no tar, or it is compressed.
    """
    files = tar_files(source.path)
    if not files:
        raise CaptionsError(f"{source.path}: no tar there{suggest_sibling(source.path)}")
    for file in files:
        _check_tar(file)
    errors = (tarfile.TarError, OSError, EOFError)
    return chain.from_iterable(until_broken(_read(file, source), str(file), errors) for file in files)


def tar_files(path: str) -> list[Path]:
    """Lists the tars of a path: the file itself, those in a folder, or the matches of a glob."""
    return list_files(path, "*.tar")


def _check_tar(file: Path) -> None:
    try:
        with tarfile.open(file, "r:"):
            pass
    except (tarfile.TarError, OSError, EOFError) as error:
        try:
            tarfile.open(file).close()
        except (tarfile.TarError, OSError, EOFError):
            raise CaptionsError(f"{file} is no tar: {error}") from error
        raise CaptionsError(
            f"{file} is compressed: decompress it, so that each picture can be found"
        ) from error


def _read(file: Path, source: CaptionSource) -> Iterator[SourceRecord]:
    number, place = 0, relative_place(file, source.images)
    with tarfile.open(file, "r:") as archive:
        key, members = "", list[tarfile.TarInfo]()
        for member in archive:
            # The archive would remember all its members.
            archive.members = []  # type: ignore[attr-defined]
            if not member.isfile():
                continue
            folder, slash, name = member.name.rpartition("/")
            member_key = folder + slash + name.partition(".")[0]
            if members and member_key != key:
                number += 1
                yield _sample(archive, members, source, str(file), number, place)
                members = []
            key = member_key
            members.append(member)
        if members:
            yield _sample(archive, members, source, str(file), number + 1, place)
        _check_end(archive)


def _check_end(archive: tarfile.TarFile) -> None:
    """Raises ReadError for a tar that is cut off between two of its members, where tarfile sees its end."""
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it is cut off: its closing block is missing")


def _sample(
    archive: tarfile.TarFile,
    members: list[tarfile.TarInfo],
    source: CaptionSource,
    file: str,
    number: int,
    place: str,
) -> SourceRecord:
    texts = [member for member in members if _suffix(member) == "json"]
    pictures = [member for member in members if _suffix(member) in SUFFIXES]
    key = members[0].name.partition(".")[0]
    if len(texts) != 1:
        return SourceRecord(file, number, None, f"sample {key} has {len(texts)} JSON files, not one", b"")
    if len(pictures) > 1:
        names = ", ".join(member.name for member in pictures)
        return SourceRecord(file, number, None, f"sample {key} has several pictures: {names}", b"")
    large = next((m for m in (*texts, *pictures) if m.size > (_MAX_JSON if m in texts else MAX_BYTES)), None)
    if large is not None:
        return SourceRecord(file, number, None, f"{large.name} has {large.size:,} bytes", b"")
    raw = _content(archive, texts[0])
    fields, flaw = parse_object(raw)
    if fields is None:
        return SourceRecord(file, number, None, f"{texts[0].name}: {flaw}", raw)
    image: dict[str, Any] = {}
    if pictures and source.image_field:
        at = f"{place}#{pictures[0].offset_data}+{pictures[0].size}"
        image[source.image_field] = ImagePart(_content(archive, pictures[0]), at)
    return SourceRecord(file, number, {**fields, **image}, "", raw)


def _suffix(member: tarfile.TarInfo) -> str:
    return member.name.rpartition(".")[2].lower()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""
