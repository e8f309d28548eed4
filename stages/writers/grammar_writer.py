"""Writes edits by the mini world's grammar, which are all true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conf.pairs import Writer as Settings
from miniworld.check_pair import meanings
from miniworld.edits import EDITS
from miniworld.scene_captions import caption, parse_caption
from stages.writers.base import Answer, EditRequest, NoAnswer


class GrammarWriter:
    """Draws a kind of edit that the scene allows, then an instruction of that kind, each with equal chances."""

    def __init__(self, _: Settings | None = None) -> None:
        """No setting changes what the grammar writes."""

    def write(self, requests: Sequence[EditRequest]) -> list[Answer | NoAnswer]:
        """Implements ``Writer.write``. A caption of another world gets the reason unknown_caption."""
        return [_edit(request) for request in requests]


def _edit(request: EditRequest) -> Answer:
    try:
        scene = parse_caption(request.caption)
    except ValueError:
        return Answer(reason="unknown_caption", text=request.caption)
    known, rng = meanings(scene), np.random.default_rng(request.seed)
    kinds = {meaning.kind for meaning in known.values()}
    kind = str(rng.choice([name for name in EDITS if name in kinds]))
    instruction = str(rng.choice([text for text, meaning in known.items() if meaning.kind == kind]))
    return Answer(instruction, caption(known[instruction].after))
