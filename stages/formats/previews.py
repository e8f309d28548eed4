"""The contact sheet's pictures of a unit, as one small tar."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from stages.formats import tar
from stages.records import Candidate, CaptionPair, Preview, WordMaps


def to_bytes(previews: Sequence[Preview]) -> bytes:
    """A tar of the previews, in their order."""
    return tar.pack_members(member for preview in previews for member in _members(preview))


def from_bytes(data: bytes) -> list[Preview]:
    """What ``to_bytes`` was given."""
    return [_preview(dict(files)) for _, files in tar.read_samples(data)]


def _members(preview: Preview) -> Iterator[tuple[str, bytes]]:
    key = preview.pair.id
    about = {"pair": asdict(preview.pair), "candidates": [asdict(c) for c in preview.candidates]}
    if preview.maps:
        about["maps"] = [{"edit": maps.edit, "words": maps.words} for maps in preview.maps]
    yield f"{key}.json", json.dumps(about, ensure_ascii=False).encode()
    yield f"{key}.source.png", preview.source
    for index, edit in enumerate(preview.edits):
        yield f"{key}.edit{index:03d}.png", edit
    for index, maps in enumerate(preview.maps):
        yield f"{key}.maps{index}.png", maps.png


def _preview(files: dict[str, bytes]) -> Preview:
    parts = {name.split(".", 1)[1]: data for name, data in files.items()}
    about = json.loads(parts["json"])
    candidates = tuple(Candidate(**candidate) for candidate in about["candidates"])
    return Preview(
        pair=CaptionPair(**about["pair"]),
        source=parts["source.png"],
        edits=tuple(parts[f"edit{index:03d}.png"] for index in range(len(candidates))),
        candidates=candidates,
        maps=tuple(
            WordMaps(maps["edit"], tuple(maps["words"]), parts[f"maps{index}.png"])
            for index, maps in enumerate(about.get("maps", ()))
        ),
    )
