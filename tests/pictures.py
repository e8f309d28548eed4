"""Caption pairs with small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16


def draw_picture(number: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    """A picture that is like no other."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = [np.sin((number + 2) * x + channel * y * 5 + number) for channel in range(3)]
    return Image.fromarray(((np.stack(waves, -1) + 1) * 127).astype(np.uint8))


def write_picture_pairs(folder: Path, count: int, plain: int = 0) -> Path:
    """A JSONL of ``count`` pairs with pictures, the last one of half the size, and then ``plain`` ones without."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count + plain):
        record = {
            "input": f"a red ball {number}",
            "edit": "make the ball blue",
            "output": f"a blue ball {number}",
        }
        if number < count:
            side = SIDE // 2 if number == count - 1 else SIDE
            draw_picture(number, side, side).save(folder / "photos" / f"{number}.png")
            record["image"] = f"photos/{number}.png"
        lines.append(json.dumps(record) + "\n")
    path = folder / "pairs.jsonl"
    path.write_text("".join(lines))
    return path
