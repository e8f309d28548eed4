"""Small runs of ``pairforge pairs``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from miniworld.scene import random_scene
from miniworld.scene_captions import caption

CAPTIONS = [caption(random_scene(np.random.default_rng(k))) for k in range(9)]


def write_captions(folder: Path) -> Path:
    """Nine captions of the mini world, one of another, and a line that is none."""
    path = folder / "captions.jsonl"
    rows = [{"caption": text, "url": f"http://x/{k}", "edit": "none"} for k, text in enumerate(CAPTIONS)]
    rows += [{"caption": "a girl riding a horse"}, {"title": "a ball"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def settings(folder: Path, *more: str) -> list[str]:
    """With the grammar as the writer, unless ``more`` has another."""
    path = folder / "captions.jsonl"
    if not path.exists():
        write_captions(folder)
    named = any(one.startswith("writer=") for one in more)
    return [
        *([] if named else ["writer=grammar"]),
        f"captions.path={path}",
        f"out={folder / 'pairs'}",
        "unit_pairs=3",
        "edits=2",
        "cluster.workers=1",
        *more,
    ]
