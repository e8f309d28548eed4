"""Writes drawn photographs with caption pairs: `python -m miniworld.write_photographs FOLDER`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from miniworld.drawing.draw import draw
from miniworld.edits import EDITS, Edit, random_edit
from miniworld.scene import random_layout

COUNT = 24
_SEED = 2412
_PHOTO = "photo"


def draw_photographs(count: int = COUNT) -> Iterator[tuple[Edit, np.ndarray]]:
    """Draws edits of photographs, the kinds in turn, each with its picture, uint8 (H, W, 3)."""
    rng = np.random.default_rng(_SEED)
    for number in range(count):
        edit = random_edit(rng, EDITS[number % len(EDITS)])
        after = edit.after if edit.kind == "style" else replace(edit.after, style=_PHOTO)
        edit = replace(edit, before=replace(edit.before, style=_PHOTO), after=after)
        while edit.before == edit.after:  # a change of style to a photograph
            edit = replace(random_edit(rng, edit.kind), before=edit.before)
        yield edit, draw(edit.before, random_layout(rng))


def write_photographs(folder: Path, count: int = COUNT) -> Path:
    """Writes pictures and, beside them, ``pairs.jsonl``, whose records name them. Returns its path."""
    (folder / "photographs").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (edit, picture) in enumerate(draw_photographs(count)):
        name = f"photographs/{number:02d}.png"
        Image.fromarray(picture).save(folder / name)
        lines.append(json.dumps({**edit.as_line(), "image": name}) + "\n")
    path = folder / "pairs.jsonl"
    path.write_text("".join(lines))
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(prog="python -m miniworld.write_photographs", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args(arguments)
    print(write_photographs(options.folder, options.count))


if __name__ == "__main__":
    main()
