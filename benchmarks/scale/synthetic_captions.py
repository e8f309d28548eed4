"""Writes caption pairs by the million, all different, in words that the mini world's tokenizer knows."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = (
    *("red", "orange", "yellow", "green", "blue", "pink", "white", "black", "ball", "box", "cone", "star"),
    *("heart", "tree", "house", "boat", "grass", "sand", "snow", "lava", "day", "night", "storm", "photo"),
    *("pencil", "drawing", "mosaic", "water", "a", "an", "of", "and"),
)
DIGITS = 6  # in base 32: some 10^9 captions


def write_captions(path: Path, count: int, first: int = 0) -> Path:
    """Write ``count`` pairs as JSON Lines of some 230 bytes, with captions of 60 to 80 characters and a URL."""
    with path.open("w") as stream:
        for number in range(first, first + count):
            words = " ".join(WORDS[number >> 5 * digit & 31] for digit in range(DIGITS))
            source = f"a photo of {words} and a red ball on the sand by night"
            pair = {"input": source, "edit": "make the ball blue", "output": source.replace("red", "blue")}
            stream.write(json.dumps({**pair, "url": f"https://example.org/{number:09d}.jpg"}) + "\n")
    return path
