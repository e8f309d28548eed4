"""Draws a scene: 64×64 pixels, painted at three times the size and reduced."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from miniworld.scene import Layout, Scene, Thing

SIDE = 64
_SCALE = 3
_FULL = SIDE * _SCALE

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

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
_PAPER = (250, 247, 240)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` of `b` in it."""
    return tuple(round((1 - share) * x + share * y) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _horizon(layout: Layout) -> np.ndarray:
    """The ground's upper edge, in painted pixels, for each painted column."""
    x = np.linspace(-1, 1, _FULL)
    return (layout.horizon + layout.slope * x + layout.bulge * (x**2 - 0.5)) * _FULL


def _paint_sky(image: Image.Image, scene: Scene, layout: Layout, rng: np.random.Generator) -> None:
    top, low = _SKY[scene.sky]
    ramp = np.linspace(0, 1, _FULL)[:, None, None] / max(layout.horizon, 0.3)
    pixels = np.array(top) * (1 - ramp.clip(0, 1)) + np.array(low) * ramp.clip(0, 1)
    image.paste(Image.fromarray(np.broadcast_to(pixels, (_FULL, _FULL, 3)).round().astype(np.uint8)))
    draw = ImageDraw.Draw(image)
    x, y = layout.light[0] * _FULL, layout.light[1] * _FULL

    def disc(cx: float, cy: float, r: float, fill: Colour) -> None:
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fill)

    if scene.sky == "day":
        disc(x, y, 14, (255, 242, 150))
    elif scene.sky == "sunset":
        disc(x, (layout.horizon - 0.08) * _FULL, 19, (255, 240, 170))
    elif scene.sky == "night":
        for _ in range(7):
            disc(
                rng.uniform(4, _FULL - 4), rng.uniform(4, layout.horizon * _FULL * 0.85), 2.6, (226, 228, 250)
            )
        disc(x, y, 14, (244, 240, 206))
        disc(x + 7, y - 4, 12, _mix(top, low, layout.light[1] / layout.horizon))
    if scene.sky in ("day", "storm"):
        cloud = (250, 252, 255) if scene.sky == "day" else (48, 50, 58)
        for _ in range(2 if scene.sky == "day" else 4):
            cx, cy = (
                rng.uniform(10, _FULL - 10),
                rng.uniform(8, max(20.0, (layout.horizon - 0.14) * _FULL * 0.8)),
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
    edge = _horizon(layout)
    if scene.ground == "water":
        edge = np.full(_FULL, layout.horizon * _FULL)
    outline = [(float(i), float(edge[i])) for i in range(_FULL)]
    draw.polygon([*outline, (_FULL, _FULL), (0, _FULL)], fill=body)
    for _ in range(18):
        cx = rng.uniform(0, _FULL)
        cy = edge[min(int(cx), _FULL - 1)] + 6 + rng.uniform(0, 1) * (_FULL - 6 - layout.horizon * _FULL)
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


def _star(cx: float, cy: float, r: float) -> Points:
    angles = -np.pi / 2 + np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, r, 0.46 * r)
    return [(cx + q * np.cos(a), cy + q * np.sin(a)) for a, q in zip(angles, radii, strict=True)]


def _heart(cx: float, cy: float, s: float) -> Points:
    t = np.linspace(0, 2 * np.pi, 60)
    x, y = 16 * np.sin(t) ** 3, 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [(cx + s * a / 34, cy - s * b / 34) for a, b in zip(x, y, strict=True)]


def _paint_thing(
    draw: ImageDraw.ImageDraw, thing: Thing, place: tuple[float, float, float], light: bool
) -> None:
    """One object standing on its foot's point; `light` adds shading, which a pencil leaves out."""
    x, y, s = (value * _FULL for value in place)
    body = PALETTE[thing.colour]
    dark = _mix(body, (0, 0, 0), 0.42) if thing.colour != "black" else (92, 92, 100)
    pale = _mix(body, (255, 255, 255), 0.55 if thing.colour != "black" else 0.3)
    top, half = y - s, s / 2
    line = 4

    def poly(points: Points, fill: Colour) -> None:
        draw.polygon(list(points), fill=fill, outline=dark, width=line)

    def ball() -> None:
        draw.ellipse((x - half, top, x + half, y), fill=body, outline=dark, width=line)
        if light:
            draw.ellipse((x - 0.28 * s, top + 0.16 * s, x - 0.06 * s, top + 0.38 * s), fill=pale)

    def box() -> None:
        d = 0.24 * s
        poly([(x - half, top + d), (x - half + d, top), (x + half, top), (x + half - d, top + d)], pale)
        poly([(x + half - d, top + d), (x + half, top), (x + half, y - d), (x + half - d, y)], dark)
        draw.rectangle((x - half, top + d, x + half - d, y), fill=body, outline=dark, width=line)

    def cone() -> None:
        draw.ellipse((x - 0.46 * s, y - 0.2 * s, x + 0.46 * s, y), fill=body, outline=dark, width=line)
        poly([(x, top), (x - 0.45 * s, y - 0.1 * s), (x + 0.45 * s, y - 0.1 * s)], body)
        if light:
            draw.polygon([(x, top + 8), (x + 0.04 * s, y - 6), (x + 0.36 * s, y - 0.1 * s)], fill=dark)

    def star() -> None:
        poly(_star(x, y - 0.47 * s, 0.56 * s), body)

    def heart() -> None:
        poly(_heart(x, y - 0.54 * s, 1.08 * s), body)

    def tree() -> None:
        draw.rectangle(
            (x - 0.09 * s, y - 0.4 * s, x + 0.09 * s, y), fill=(112, 72, 40), outline=(70, 44, 26), width=2
        )
        for cx, cy, r in ((-0.2, 0.5, 0.26), (0.2, 0.5, 0.26), (0, 0.72, 0.3)):
            draw.ellipse(
                (x + cx * s - r * s, y - cy * s - r * s, x + cx * s + r * s, y - cy * s + r * s),
                fill=body,
                outline=dark,
                width=line,
            )
        draw.ellipse((x - 0.24 * s, y - 0.78 * s, x + 0.24 * s, y - 0.4 * s), fill=body)

    def house() -> None:
        wall = y - 0.56 * s
        draw.rectangle((x - 0.42 * s, wall, x + 0.42 * s, y), fill=body, outline=dark, width=line)
        poly([(x - 0.54 * s, wall), (x, top), (x + 0.54 * s, wall)], dark)
        draw.rectangle((x - 0.30 * s, y - 0.32 * s, x - 0.06 * s, y - 2), fill=(92, 60, 40))
        draw.rectangle((x + 0.1 * s, y - 0.42 * s, x + 0.32 * s, y - 0.2 * s), fill=(252, 232, 150))

    def boat() -> None:
        hull = y - 0.3 * s
        draw.line((x, hull, x, top), fill=(84, 58, 40), width=5)
        draw.polygon(
            [(x + 4, top), (x + 4, hull - 6), (x + 0.46 * s, hull - 6)],
            fill=(252, 250, 240),
            outline=(150, 146, 136),
        )
        draw.polygon(
            [(x - 5, top + 12), (x - 5, hull - 6), (x - 0.32 * s, hull - 6)],
            fill=(252, 250, 240),
            outline=(150, 146, 136),
        )
        poly([(x - 0.58 * s, hull), (x + 0.58 * s, hull), (x + 0.36 * s, y), (x - 0.36 * s, y)], body)

    shapes: dict[str, Callable[[], None]] = {
        "ball": ball, "box": box, "cone": cone, "star": star,
        "heart": heart, "tree": tree, "house": house, "boat": boat,
    }  # fmt: skip
    shapes[thing.kind]()


def _pencil(image: Image.Image) -> Image.Image:
    grey = np.asarray(image.filter(ImageFilter.GaussianBlur(2.2)).convert("RGB"), dtype=np.float32)
    edges = sum(
        np.abs(np.diff(grey, axis=axis, append=grey.take([-1], axis=axis))).max(-1) for axis in (0, 1)
    )
    line = (np.asarray(edges) / 26).clip(0, 1)[..., None]
    pixels = np.asarray(image, dtype=np.float32)
    tinted = 0.45 * np.array(_PAPER) + 0.55 * pixels
    return Image.fromarray((tinted * (1 - line) + 66 * line).round().astype(np.uint8))


def _mosaic(pixels: np.ndarray) -> np.ndarray:
    tiles = pixels.reshape(16, 4, 16, 4, 3).mean((1, 3)).repeat(4, 0).repeat(4, 1)
    mixed = 0.5 * pixels + 0.5 * tiles
    grout = np.zeros((SIDE, SIDE, 1), dtype=np.float32)
    grout[::4] = grout[:, ::4] = 0.42
    return mixed * (1 - grout) + 40 * grout


def _watercolor(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(3.0)), dtype=np.float32)
    washed = pixels + 0.28 * (255 - pixels)
    axis = np.abs(np.linspace(-1, 1, _FULL))
    wobble = 0.05 * np.sin(np.arange(_FULL) / rng.uniform(7, 11) + rng.uniform(0, 6))
    frame = np.maximum(axis[:, None] + wobble[None, :], axis[None, :] + wobble[:, None])
    share = ((frame - 0.82) / 0.1).clip(0, 1)[..., None]
    return Image.fromarray((washed * (1 - share) + np.array(_PAPER) * share).round().astype(np.uint8))


def draw(scene: Scene, layout: Layout) -> np.ndarray:
    """The scene as uint8 (64, 64, 3). The same scene and layout give the same pixels."""
    rng = np.random.default_rng(layout.texture)
    image = Image.new("RGB", (_FULL, _FULL))
    _paint_sky(image, scene, layout, np.random.default_rng(layout.texture + 1))
    _paint_ground(image, scene, layout, np.random.default_rng(layout.texture + 2))
    brush = ImageDraw.Draw(image)
    placed = sorted(zip(scene.things, layout.places, strict=False), key=lambda pair: pair[1][1])
    for thing, place in placed:
        _shadow(image, scene, place)
        _paint_thing(brush, thing, place, scene.style != "pencil drawing")
    if scene.style == "pencil drawing":
        image = _pencil(image)
    elif scene.style == "watercolor":
        image = _watercolor(image, rng)
    pixels = np.asarray(image.reduce(_SCALE), dtype=np.float32)
    if scene.style == "mosaic":
        pixels = _mosaic(pixels)
    return pixels.round().clip(0, 255).astype(np.uint8)


def _shadow(image: Image.Image, scene: Scene, place: tuple[float, float, float]) -> None:
    x, y, s = (value * _FULL for value in place)
    box = [round(v) for v in (x - 0.5 * s, y - 0.09 * s, x + 0.5 * s, y + 0.09 * s)]
    under = image.crop(tuple(box))
    mask = Image.new("L", under.size, 0)
    ImageDraw.Draw(mask).ellipse((0, 0, under.width - 1, under.height - 1), fill=120)
    image.paste((16, 16, 24), tuple(box[:2]), mask)
