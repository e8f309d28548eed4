"""Previews of a unit as one small tar: the pictures for the contact sheet and the report, or thumbnails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stages.formats import tar
from stages.records import Candidate, CaptionPair, Preview, WordMaps

OTHERS = ("original", "reconstruction")
"""The names of the image that a preview shows beside the source."""


def to_bytes(previews: Sequence[Preview], extension: str = "png") -> bytes:
    """Encodes the previews as a tar, in their order. ``extension`` is that of their pictures.

    A preview after another one of its pair has the sample's index in its key.
    """
    members: dict[str, tar.Files] = {}
    for preview in previews:
        key = preview.pair.id
        if key in members:
            key += f"-{preview.candidates[0].sample_index:03d}"
        members[key] = _files(preview, extension)
    return tar.write_samples(members.items())


def from_bytes(data: bytes) -> list[Preview]:
    """Decodes the previews that ``to_bytes`` encoded."""
    return [_preview(files) for _, files in tar.read_samples(data)]


def _files(preview: Preview, extension: str) -> tar.Files:
    record: dict[str, Any] = {
        "pair": preview.pair.fields(),
        "candidates": [asdict(candidate) for candidate in preview.candidates],
    }
    if preview.maps:
        record["maps"] = [{"edit": maps.edit, "words": maps.words} for maps in preview.maps]
    return {
        "json": json.dumps(record, ensure_ascii=False).encode(),
        f"source.{extension}": preview.source,
        **{f"edit{index:03d}.{extension}": edit for index, edit in enumerate(preview.edits)},
        **({f"{preview.other[0]}.{extension}": preview.other[1]} if preview.other else {}),
        **{f"maps{index}.png": maps.png for index, maps in enumerate(preview.maps)},
    }


def _preview(files: tar.Files) -> Preview:
    record = json.loads(files["json"])
    pictures = {name.partition(".")[0]: content for name, content in files.items()}
    candidates = tuple(Candidate(**candidate) for candidate in record["candidates"])
    return Preview(
        pair=CaptionPair(**record["pair"]),
        source=pictures["source"],
        edits=tuple(pictures[f"edit{index:03d}"] for index in range(len(candidates))),
        candidates=candidates,
        maps=tuple(
            WordMaps(maps["edit"], tuple(maps["words"]), pictures[f"maps{index}"])
            for index, maps in enumerate(record.get("maps", ()))
        ),
        other=next(((name, pictures[name]) for name in OTHERS if name in pictures), None),
    )
