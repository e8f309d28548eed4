"""Previews of a unit as one small tar: the pictures for the contact sheet and the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stages.formats import tar
from stages.records import Candidate, CaptionPair, Preview, WordMaps


def to_bytes(previews: Sequence[Preview]) -> bytes:
    """Encodes the previews as a tar, in their order."""
    return tar.write_samples((preview.pair.id, _files(preview)) for preview in previews)


def from_bytes(data: bytes) -> list[Preview]:
    """Decodes the previews that ``to_bytes`` encoded."""
    return [_preview(files) for _, files in tar.read_samples(data)]


def _files(preview: Preview) -> tar.Files:
    record: dict[str, Any] = {
        "pair": asdict(preview.pair),
        "candidates": [asdict(candidate) for candidate in preview.candidates],
    }
    if preview.maps:
        record["maps"] = [{"edit": maps.edit, "words": maps.words} for maps in preview.maps]
    return {
        "json": json.dumps(record, ensure_ascii=False).encode(),
        "source.png": preview.source,
        **{f"edit{index:03d}.png": edit for index, edit in enumerate(preview.edits)},
        **{f"maps{index}.png": maps.png for index, maps in enumerate(preview.maps)},
    }


def _preview(files: tar.Files) -> Preview:
    record = json.loads(files["json"])
    candidates = tuple(Candidate(**candidate) for candidate in record["candidates"])
    return Preview(
        pair=CaptionPair(**record["pair"]),
        source=files["source.png"],
        edits=tuple(files[f"edit{index:03d}.png"] for index in range(len(candidates))),
        candidates=candidates,
        maps=tuple(
            WordMaps(maps["edit"], tuple(maps["words"]), files[f"maps{index}.png"])
            for index, maps in enumerate(record.get("maps", ()))
        ),
    )
