"""Reads the mini world's shipped caption pairs as edits of scenes."""

from __future__ import annotations

import json

import miniworld
from miniworld.edits import Edit
from miniworld.scene_captions import parse_caption


def shipped_edits(per_kind: int) -> list[Edit]:
    """The first caption pairs of each kind of edit, kind by kind."""
    by_kind: dict[str, list[Edit]] = {}
    for pair in map(json.loads, miniworld.CAPTIONS.read_text().splitlines()):
        edit = Edit(pair["kind"], pair["edit"], parse_caption(pair["input"]), parse_caption(pair["output"]))
        by_kind.setdefault(edit.kind, []).append(edit)
    return [edit for kind in sorted(by_kind) for edit in by_kind[kind][:per_kind]]
