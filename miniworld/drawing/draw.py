"""Draws a scene at 64×64 pixels: paints it at three times the size and reduces it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from miniworld.drawing.object_shapes import paint_shadow, paint_thing
from miniworld.drawing.palette import FULL, SCALE, Colour, mix
from miniworld.drawing.styles import mosaic, pencil, watercolor
from miniworld.scene import Layout, Scene

_GROUND: dict[str, tuple[Colour, Colour]] = {  # body, detail
    "grass": ((104, 176, 72), (72, 142, 52)),
    "sand": ((226, 198, 134), (204, 170, 104)),
    "snow": ((236, 242, 250), (206, 218, 236)),
    "water": ((58, 122, 196), (104, 164, 226)),
    "lava": ((186, 52, 22), (250, 158, 42)),
}
_SKY: dict[str, tuple[Colour, Colour]] = {  # top, horizon
    "day": ((120, 186, 246), (206, 232, 252)),
    "night": ((10, 14, 50), (38, 44, 96)),
    "sunset": ((242, 104, 70), (252, 204, 130)),
    "storm": ((74, 78, 88), (136, 140, 148)),
}
_SHADE: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.50, 0.52, 0.66),
    "sunset": (1.0, 0.86, 0.78),
    "storm": (0.72, 0.73, 0.75),
}


def horizon(scene: Scene, layout: Layout) -> np.ndarray:
    """Computes the upper edge of the ground for each painted column, in painted pixels: (192,). Water is flat."""
    if scene.ground == "water":
        return np.full(FULL, layout.horizon * FULL)
    x = np.linspace(-1, 1, FULL)
    return (layout.horizon + layout.slope * x + layout.bulge * (x**2 - 0.5)) * FULL


def _paint_sky(image: Image.Image, scene: Scene, layout: Layout, rng: np.random.Generator) -> None:
    top, low = _SKY[scene.sky]
    ramp = np.linspace(0, 1, FULL)[:, None, None] / max(layout.horizon, 0.3)
    pixels = np.array(top) * (1 - ramp.clip(0, 1)) + np.array(low) * ramp.clip(0, 1)
    image.paste(Image.fromarray(np.broadcast_to(pixels, (FULL, FULL, 3)).round().astype(np.uint8)))
    draw = ImageDraw.Draw(image)
    x, y = layout.light[0] * FULL, layout.light[1] * FULL

    def disc(cx: float, cy: float, r: float, fill: Colour) -> None:
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill)

    if scene.sky == "day":
        disc(x, y, 14, (255, 242, 150))
    elif scene.sky == "sunset":
        disc(x, (layout.horizon - 0.08) * FULL, 19, (255, 240, 170))
    elif scene.sky == "night":
        for _ in range(7):
            disc(rng.uniform(4, FULL - 4), rng.uniform(4, layout.horizon * FULL * 0.85), 2.6, (226, 228, 250))
        disc(x, y, 14, (244, 240, 206))
        disc(x + 7, y - 4, 12, mix(top, low, layout.light[1] / layout.horizon))
    if scene.sky in ("day", "storm"):
        cloud = (250, 252, 255) if scene.sky == "day" else (48, 50, 58)
        for _ in range(2 if scene.sky == "day" else 4):
            cx, cy = (
                rng.uniform(10, FULL - 10),
                rng.uniform(8, max(20.0, (layout.horizon - 0.14) * FULL * 0.8)),
            )
            for step in (-1, 0, 1):
                r = 9 if step else 13
                draw.ellipse(
                    (cx + step * 15 - 1.5 * r, cy - 0.7 * r, cx + step * 15 + 1.5 * r, cy + 0.7 * r),
                    fill=cloud,
                )


def _paint_ground(image: Image.Image, scene: Scene, layout: Layout, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    shade = (1.0, 0.94, 0.9) if scene.ground == "lava" else _SHADE[scene.sky]  # lava gives its own light
    body, detail = (
        tuple(round(c * s) for c, s in zip(colour, shade, strict=True)) for colour in _GROUND[scene.ground]
    )
    edge = horizon(scene, layout)
    outline = [(float(i), float(edge[i])) for i in range(FULL)]
    draw.polygon([*outline, (FULL, FULL), (0, FULL)], fill=body)
    for _ in range(18):
        cx = rng.uniform(0, FULL)
        cy = edge[min(int(cx), FULL - 1)] + 6 + rng.uniform(0, 1) * (FULL - 6 - layout.horizon * FULL)
        if scene.ground == "water":
            draw.line((cx - 10, cy, cx + 10, cy), fill=detail, width=4)
        elif scene.ground == "lava":
            draw.ellipse((cx - 9, cy - 4, cx + 9, cy + 4), fill=detail)
        elif scene.ground == "grass":
            draw.line((cx - 3, cy, cx - 5, cy - 8), fill=detail, width=3)
            draw.line((cx + 3, cy, cx + 5, cy - 8), fill=detail, width=3)
        elif scene.ground == "sand":
            draw.arc((cx - 12, cy - 5, cx + 12, cy + 5), 200, 340, fill=detail, width=3)
        else:
            draw.ellipse((cx - 8, cy - 2, cx + 8, cy + 2), fill=detail)


def draw(scene: Scene, layout: Layout) -> np.ndarray:
    """Draws the scene as uint8 (64, 64, 3). The same scene and layout give the same pixels."""
    rng = np.random.default_rng(layout.texture)
    image = Image.new("RGB", (FULL, FULL))
    _paint_sky(image, scene, layout, np.random.default_rng(layout.texture + 1))
    _paint_ground(image, scene, layout, np.random.default_rng(layout.texture + 2))
    brush = ImageDraw.Draw(image)
    placed = sorted(zip(scene.things, layout.places, strict=False), key=lambda pair: pair[1][1])
    for thing, place in placed:
        paint_shadow(image, place)
        paint_thing(brush, thing, place, shaded=scene.style != "pencil drawing")
    if scene.style == "pencil drawing":
        image = pencil(image)
    elif scene.style == "watercolor":
        image = watercolor(image, rng)
    pixels = np.asarray(image.reduce(SCALE), dtype=np.float32)
    if scene.style == "mosaic":
        pixels = mosaic(pixels)
    return pixels.round().clip(0, 255).astype(np.uint8)
