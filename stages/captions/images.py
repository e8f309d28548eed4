"""Images of caption pairs: reads the field, takes each image's digest in threads, and checks the head of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from conf.messages import error_line
from stages.captions.source import CaptionSource, ImagePart, SourceRecord, type_name
from stages.errors import MachineError
from stages.images.decode import ImageError, check_image
from stages.images.place import cell_bytes, keep_image, read_image
from stages.records import CaptionPair
from stages.storage.store import map_in_threads

THREADS = 8
AHEAD = 32
"""Records whose images are read ahead of the one that is yielded."""


@dataclass(frozen=True)
class Flaw:
    """The reason why a field's value is no image."""

    reason: str


@dataclass(frozen=True)
class PairWithImage:
    """A caption pair whose ``image``, a path or bytes, has not been read."""

    pair: CaptionPair
    image: str | ImagePart


Parsed = tuple[SourceRecord, CaptionPair | PairWithImage | str]


def read_field(value: Any, name: str) -> str | ImagePart | Flaw | None:
    """Returns the path or the bytes in the field ``name``, None for an empty field, or why it is neither."""
    if isinstance(value, ImagePart):
        return value
    data = cell_bytes(value)
    if data is not None:
        return ImagePart(data)
    if isinstance(value, dict) and "path" in value:
        value = value["path"]
    if value is None:
        return None
    if not isinstance(value, str):
        return Flaw(f"field {name!r} is {type_name(value)}: give the path of an image, or its bytes")
    path = value.strip()
    if "://" in path:
        return Flaw(
            f"field {name!r} is a URL, and images are not downloaded: give a path, relative to captions.images=… or to "
            "the file, or captions.fields.image='' for captions without images"
        )
    if not path.isprintable():
        return Flaw(f"field {name!r} holds characters that no path has")
    return path or None


def add_images(
    records: Iterable[Parsed], source: CaptionSource
) -> Iterator[tuple[SourceRecord, CaptionPair | str]]:
    """Yields the records in their order, with pairs that refer to their images by digest, or the reasons against them.

    Few images are in memory at a time.
    """

    def add(parsed: Parsed) -> tuple[SourceRecord, CaptionPair | str]:
        record, pair = parsed
        return record, _add_image(pair, source) if isinstance(pair, PairWithImage) else pair

    yield from map_in_threads(add, records, THREADS, AHEAD)


def _add_image(pending: PairWithImage, source: CaptionSource) -> CaptionPair | str:
    image = pending.image
    try:
        if isinstance(image, ImagePart):
            data, place = image.data, image.place
        else:
            data, place = read_image(source.images, image), image
        check_image(data, source.image_side, source.image_upscale)
        place = place or keep_image(source.images, data)
    except (ImageError, MachineError, OSError) as error:
        at = f" ({image})" if isinstance(image, str) else ""
        return f"field {source.image_field!r}{at}: {error_line(error)}"
    return replace(pending.pair, image=f"{hashlib.sha256(data).hexdigest()} {place}")
