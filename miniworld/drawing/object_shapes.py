"""Paints the objects, each standing on its foot point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from miniworld.drawing.palette import FULL, PALETTE, Colour, mix
from miniworld.scene import Thing

Points = Sequence[tuple[float, float]]

_LINE = 4
_SAIL = {"fill": (252, 250, 240), "outline": (150, 146, 136)}


@dataclass(frozen=True)
class _Brush:
    """Position (foot x, y) and size s of an object, in painted pixels, and its colours; `shaded` adds light."""

    draw: ImageDraw.ImageDraw
    x: float
    y: float
    s: float
    body: Colour
    dark: Colour
    pale: Colour
    shaded: bool

    @property
    def top(self) -> float:
        return self.y - self.s

    def poly(self, points: Points, fill: Colour) -> None:
        self.draw.polygon(list(points), fill=fill, outline=self.dark, width=_LINE)

    def oval(self, box: tuple[float, float, float, float]) -> None:
        self.draw.ellipse(box, fill=self.body, outline=self.dark, width=_LINE)

    def wall(self, box: tuple[float, float, float, float]) -> None:
        self.draw.rectangle(box, fill=self.body, outline=self.dark, width=_LINE)


def paint_thing(
    draw: ImageDraw.ImageDraw, thing: Thing, place: tuple[float, float, float], shaded: bool
) -> None:
    """Paints one object at a place: x, y of the foot, size, as fractions of the side."""
    x, y, s = (value * FULL for value in place)
    body, black = PALETTE[thing.colour], thing.colour == "black"
    dark = (92, 92, 100) if black else mix(body, (0, 0, 0), 0.42)
    pale = mix(body, (255, 255, 255), 0.3 if black else 0.55)
    _SHAPES[thing.kind](_Brush(draw, x, y, s, body, dark, pale, shaded))


def paint_shadow(image: Image.Image, place: tuple[float, float, float]) -> None:
    """Darkens the ground under an object."""
    x, y, s = (value * FULL for value in place)
    box = [round(v) for v in (x - 0.5 * s, y - 0.09 * s, x + 0.5 * s, y + 0.09 * s)]
    under = image.crop(tuple(box))
    mask = Image.new("L", under.size, 0)
    ImageDraw.Draw(mask).ellipse((0, 0, under.width - 1, under.height - 1), fill=120)
    image.paste((16, 16, 24), tuple(box[:2]), mask)


def _ball(b: _Brush) -> None:
    b.oval((b.x - 0.5 * b.s, b.top, b.x + 0.5 * b.s, b.y))
    if b.shaded:
        b.draw.ellipse(
            (b.x - 0.28 * b.s, b.top + 0.16 * b.s, b.x - 0.06 * b.s, b.top + 0.38 * b.s), fill=b.pale
        )


def _box(b: _Brush) -> None:
    d = 0.24 * b.s
    b.poly(
        [
            (b.x - 0.5 * b.s, b.top + d),
            (b.x - 0.5 * b.s + d, b.top),
            (b.x + 0.5 * b.s, b.top),
            (b.x + 0.5 * b.s - d, b.top + d),
        ],
        b.pale,
    )
    b.poly(
        [
            (b.x + 0.5 * b.s - d, b.top + d),
            (b.x + 0.5 * b.s, b.top),
            (b.x + 0.5 * b.s, b.y - d),
            (b.x + 0.5 * b.s - d, b.y),
        ],
        b.dark,
    )
    b.wall((b.x - 0.5 * b.s, b.top + d, b.x + 0.5 * b.s - d, b.y))


def _cone(b: _Brush) -> None:
    b.oval((b.x - 0.46 * b.s, b.y - 0.2 * b.s, b.x + 0.46 * b.s, b.y))
    b.poly([(b.x, b.top), (b.x - 0.45 * b.s, b.y - 0.1 * b.s), (b.x + 0.45 * b.s, b.y - 0.1 * b.s)], b.body)
    if b.shaded:
        b.draw.polygon(
            [(b.x, b.top + 8), (b.x + 0.04 * b.s, b.y - 6), (b.x + 0.36 * b.s, b.y - 0.1 * b.s)], fill=b.dark
        )


def _star(b: _Brush) -> None:
    b.poly(_star_points(b.x, b.y - 0.47 * b.s, 0.56 * b.s), b.body)


def _heart(b: _Brush) -> None:
    b.poly(_heart_points(b.x, b.y - 0.54 * b.s, 1.08 * b.s), b.body)


def _tree(b: _Brush) -> None:
    b.draw.rectangle(
        (b.x - 0.09 * b.s, b.y - 0.4 * b.s, b.x + 0.09 * b.s, b.y),
        fill=(112, 72, 40),
        outline=(70, 44, 26),
        width=2,
    )
    for cx, cy, r in ((-0.2, 0.5, 0.26), (0.2, 0.5, 0.26), (0, 0.72, 0.3)):
        b.oval(
            (
                b.x + cx * b.s - r * b.s,
                b.y - cy * b.s - r * b.s,
                b.x + cx * b.s + r * b.s,
                b.y - cy * b.s + r * b.s,
            )
        )
    b.draw.ellipse((b.x - 0.24 * b.s, b.y - 0.78 * b.s, b.x + 0.24 * b.s, b.y - 0.4 * b.s), fill=b.body)


def _house(b: _Brush) -> None:
    wall = b.y - 0.56 * b.s
    b.wall((b.x - 0.42 * b.s, wall, b.x + 0.42 * b.s, b.y))
    b.poly([(b.x - 0.54 * b.s, wall), (b.x, b.top), (b.x + 0.54 * b.s, wall)], b.dark)
    b.draw.rectangle((b.x - 0.30 * b.s, b.y - 0.32 * b.s, b.x - 0.06 * b.s, b.y - 2), fill=(92, 60, 40))
    b.draw.rectangle(
        (b.x + 0.1 * b.s, b.y - 0.42 * b.s, b.x + 0.32 * b.s, b.y - 0.2 * b.s), fill=(252, 232, 150)
    )


def _boat(b: _Brush) -> None:
    hull = b.y - 0.3 * b.s
    b.draw.line((b.x, hull, b.x, b.top), fill=(84, 58, 40), width=5)
    b.draw.polygon(
        [(b.x + 4, b.top), (b.x + 4, hull - 6), (b.x + 0.46 * b.s, hull - 6)],
        **_SAIL,
    )
    b.draw.polygon(
        [(b.x - 5, b.top + 12), (b.x - 5, hull - 6), (b.x - 0.32 * b.s, hull - 6)],
        **_SAIL,
    )
    b.poly(
        [
            (b.x - 0.58 * b.s, hull),
            (b.x + 0.58 * b.s, hull),
            (b.x + 0.36 * b.s, b.y),
            (b.x - 0.36 * b.s, b.y),
        ],
        b.body,
    )


def _star_points(cx: float, cy: float, r: float) -> Points:
    angles = -np.pi / 2 + np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, r, 0.46 * r)
    return [(cx + q * np.cos(a), cy + q * np.sin(a)) for a, q in zip(angles, radii, strict=True)]


def _heart_points(cx: float, cy: float, s: float) -> Points:
    t = np.linspace(0, 2 * np.pi, 60)
    x, y = 16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [(cx + s * a / 34, cy - s * b / 34) for a, b in zip(x, y, strict=True)]


_SHAPES: dict[str, Callable[[_Brush], None]] = {
    "ball": _ball,
    "box": _box,
    "cone": _cone,
    "star": _star,
    "heart": _heart,
    "tree": _tree,
    "house": _house,
    "boat": _boat,
}
