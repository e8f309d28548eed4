"""A scene: the attributes that its caption names, and the layout that a seed draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

STYLES = ("photo", "pencil drawing", "mosaic", "watercolor")
KINDS = ("ball", "box", "cone", "star", "heart", "tree", "house", "boat")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black")
GROUNDS = ("grass", "sand", "snow", "water", "lava")
SKIES = ("day", "night", "sunset", "storm")

HELD_OUT_OBJECTS = frozenset(
    {
        ("white", "ball"),
        ("yellow", "box"),
        ("blue", "cone"),
        ("black", "star"),
        ("green", "heart"),
        ("pink", "tree"),
        ("orange", "house"),
        ("purple", "boat"),
    }
)
HELD_OUT_PLACES = frozenset({("lava", "storm"), ("snow", "night")})


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    colour: str
    kind: str


@dataclass(frozen=True)
class Scene:
    """The attributes of a scene. All are visible, and the caption names all."""

    style: str
    things: tuple[Thing, ...]
    ground: str
    sky: str

    @property
    def held_out(self) -> bool:
        """True if a combination of attributes is kept out of training."""
        objects = any((thing.colour, thing.kind) in HELD_OUT_OBJECTS for thing in self.things)
        return objects or (self.ground, self.sky) in HELD_OUT_PLACES


@dataclass(frozen=True)
class Layout:
    """Positions in fractions of the image's side. There are two places, even if the scene has one thing.

    ``texture`` seeds the details (clouds, stars, tufts).
    """

    horizon: float
    slope: float
    bulge: float
    places: tuple[tuple[float, float, float], tuple[float, float, float]]  # x, y of the foot, size
    light: tuple[float, float]
    texture: int


def random_scene(rng: np.random.Generator, things: int | None = None, held_out: bool | None = False) -> Scene:
    """Draws a scene with one or two things of different kinds.

    ``held_out`` False: no combination kept out of training. True: at least one. None: any scene.
    """
    while True:
        count = things or (2 if rng.random() < 0.45 else 1)
        kinds = rng.permutation(KINDS)[:count]
        scene = Scene(
            style=str(rng.choice(STYLES, p=(0.46, 0.18, 0.18, 0.18))),
            things=tuple(Thing(str(rng.choice(COLOURS)), str(kind)) for kind in kinds),
            ground=str(rng.choice(GROUNDS)),
            sky=str(rng.choice(SKIES)),
        )
        if held_out is None or scene.held_out == held_out:
            return scene


def variations(scene: Scene) -> list[tuple[str, Scene]]:
    """Lists all scenes that differ from this one in one attribute, each with the attribute's name.

    The names are style, ground, sky, colour and object. No two things of a scene are of one kind.
    """
    scenes = [("style", replace(scene, style=style)) for style in STYLES]
    scenes += [("ground", replace(scene, ground=ground)) for ground in GROUNDS]
    scenes += [("sky", replace(scene, sky=sky)) for sky in SKIES]
    for index, thing in enumerate(scene.things):
        others = {other.kind for other in scene.things if other is not thing}
        changed = [("colour", replace(thing, colour=colour)) for colour in COLOURS]
        changed += [("object", replace(thing, kind=kind)) for kind in KINDS if kind not in others]
        for attribute, new in changed:
            things = (*scene.things[:index], new, *scene.things[index + 1 :])
            scenes.append((attribute, replace(scene, things=things)))
    return [(attribute, other) for attribute, other in scenes if other != scene]


def random_layout(rng: np.random.Generator) -> Layout:
    """Draws a layout. Both places are on the ground, inside the image and apart from each other."""
    horizon = rng.uniform(0.38, 0.68)
    left, right = rng.uniform(0.17, 0.38), rng.uniform(0.62, 0.83)
    xs = (left, right) if rng.random() < 0.5 else (right, left)

    def place(x: float) -> tuple[float, float, float]:
        depth = rng.uniform(0.25, 1.0)
        foot = horizon + 0.06 + depth * (0.92 - horizon - 0.06)
        return float(x), float(foot), float(rng.uniform(0.28, 0.40))

    return Layout(
        horizon=float(horizon),
        slope=float(rng.uniform(-0.06, 0.06)),
        bulge=float(rng.uniform(-0.05, 0.08)),
        places=(place(xs[0]), place(xs[1])),
        light=(float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.10, 0.24))),
        texture=int(rng.integers(2**31)),
    )
