"""Writes the shipped caption pairs and single captions: `python -m miniworld.write_captions`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

import miniworld
from miniworld.edits import EDITS, Edit, random_edit
from miniworld.triples import draw_unseen_captions

COUNT = 256
CAPTIONS = 256
_SEED = 64


def draw_shipped_edits() -> Iterator[Edit]:
    """Draws `COUNT` different edits, the kinds in turn, some with combinations kept out of training."""
    rng = np.random.default_rng(_SEED)
    seen: set[tuple[str, ...]] = set()
    while len(seen) < COUNT:
        edit = random_edit(rng, EDITS[len(seen) % len(EDITS)], held_out=None)
        line = tuple(edit.as_line().values())
        if line not in seen:
            seen.add(line)
            yield edit


def make_captions_text() -> str:
    """Makes captions that the language model has not seen, one a line: seen and unseen combinations in turn."""
    seen, unseen = (draw_unseen_captions(CAPTIONS // 2, held_out) for held_out in (False, True))
    lines = dict.fromkeys(caption for both in zip(seen, unseen, strict=True) for caption in both)
    return "".join(caption + "\n" for caption in lines)


def make_pairs_text() -> str:
    """Makes the text of the caption pairs, one JSON object a line."""
    return "".join(json.dumps(edit.as_line()) + "\n" for edit in draw_shipped_edits())


if __name__ == "__main__":
    miniworld.CAPTIONS.parent.mkdir(parents=True, exist_ok=True)
    miniworld.CAPTIONS.write_text(make_pairs_text())
    miniworld.ALONE.write_text(make_captions_text())
