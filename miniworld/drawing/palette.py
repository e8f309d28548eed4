"""Size of the canvas, and the colours that captions name."""

from __future__ import annotations

SIDE = 64
SCALE = 3
FULL = SIDE * SCALE

Colour = tuple[int, int, int]
PAPER: Colour = (250, 247, 240)
PALETTE: dict[str, Colour] = {
    "red": (214, 40, 40),
    "orange": (245, 134, 30),
    "yellow": (246, 214, 40),
    "green": (34, 130, 70),
    "blue": (44, 84, 208),
    "purple": (128, 54, 168),
    "pink": (245, 130, 184),
    "white": (246, 246, 246),
    "black": (34, 34, 38),
}


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Mixes `share` of `b` into `a`."""
    return tuple(round((1 - share) * x + share * y) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]
