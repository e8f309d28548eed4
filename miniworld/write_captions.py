"""Writes the shipped caption pairs: `python -m miniworld.write_captions`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

import miniworld
from miniworld.edits import EDITS, Edit, random_edit

COUNT = 256
_SEED = 64


def shipped_edits() -> Iterator[Edit]:
    """`COUNT` different edits, the kinds in turn, combinations kept out of training among them."""
    rng = np.random.default_rng(_SEED)
    seen: set[tuple[str, ...]] = set()
    while len(seen) < COUNT:
        edit = random_edit(rng, EDITS[len(seen) % len(EDITS)], held_out=None)
        line = tuple(edit.as_line().values())
        if line not in seen:
            seen.add(line)
            yield edit


def text() -> str:
    """The file's text: one JSON object a line."""
    return "".join(json.dumps(edit.as_line()) + "\n" for edit in shipped_edits())


if __name__ == "__main__":
    miniworld.CAPTIONS.parent.mkdir(parents=True, exist_ok=True)
    miniworld.CAPTIONS.write_text(text())
