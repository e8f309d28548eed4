"""The mini world's own grammar as a writer: what it says of its captions is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from miniworld.check_pair import meanings
from miniworld.edits import EDITS
from miniworld.language import caption, parse_caption
from stages.writers.base import Answer, Asked, NoAnswer

UNKNOWN = "unknown_caption"


class GrammarWriter:
    """Every kind of edit that a scene allows is as likely as the others, and every way of saying it."""

    def write(self, asked: Sequence[Asked]) -> list[Answer | NoAnswer]:
        """As ``Writer.write`` says; a caption of another world gets no edit, for the reason unknown_caption."""
        return [_edit(one) for one in asked]


def _edit(asked: Asked) -> Answer:
    try:
        scene = parse_caption(asked.caption)
    except ValueError:
        return Answer(reason=UNKNOWN, text=asked.caption)
    known, rng = meanings(scene), np.random.default_rng(asked.seed)
    kinds = {meaning.kind for meaning in known.values()}
    kind = str(rng.choice([one for one in EDITS if one in kinds]))
    saying = str(rng.choice([said for said, meaning in known.items() if meaning.kind == kind]))
    return Answer(saying, caption(known[saying].after))
