"""The kind of edit that a caption pair asks for."""

from __future__ import annotations

import json

from stages.records import CaptionPair


def kind_of(pair: CaptionPair) -> str:
    """The kind of edit that the pair's line names under ``kind`` or ``edit_kind``; "" if it names none."""
    meta = json.loads(pair.meta)
    return str(meta.get("kind") or meta.get("edit_kind") or "")


def kind_of_edit(pair: CaptionPair) -> str:
    """What the line names, or else the instruction's first word in small letters: make, add, turn."""
    return kind_of(pair) or next(iter(pair.edit.lower().split()), "")
