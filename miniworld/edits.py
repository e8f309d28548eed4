"""Grammar of edits: draws a random edit of a scene, with an instruction in a phrasing of `miniworld.instructions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from miniworld import instructions
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Scene, Thing, random_scene
from miniworld.scene_captions import caption


@dataclass(frozen=True)
class Edit:
    """An instruction with the scenes before and after it. ``kind`` is one of `EDITS`."""

    kind: str
    instruction: str
    before: Scene
    after: Scene

    def as_line(self) -> dict[str, str]:
        """Makes the record of the caption pair, as in an input file, with the kind of edit."""
        return {
            "input": caption(self.before),
            "edit": self.instruction,
            "output": caption(self.after),
            "kind": self.kind,
        }


def _other(rng: np.random.Generator, values: tuple[str, ...], *taken: str) -> str:
    return str(rng.choice([value for value in values if value not in taken]))


def _pick(rng: np.random.Generator, phrasings: tuple[str, ...]) -> str:
    return str(rng.choice(phrasings))


def replace_thing(scene: Scene, index: int, thing: Thing) -> Scene:
    """Replaces thing number `index` of the scene. Returns a new scene."""
    things = list(scene.things)
    things[index] = thing
    return replace(scene, things=tuple(things))


def _colour(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    index = int(rng.integers(len(scene.things)))
    old = scene.things[index]
    new = _other(rng, COLOURS, old.colour)
    return _pick(rng, instructions.colour(old, new)), replace_thing(scene, index, replace(old, colour=new))


def _another_kind(scene: Scene, rng: np.random.Generator, index: int) -> Thing:
    return replace(scene.things[index], kind=_other(rng, KINDS, *(thing.kind for thing in scene.things)))


def _object(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _another_kind(scene, rng, 0)
    return _pick(rng, instructions.object_(scene.things[0], new)), replace_thing(scene, 0, new)


def _replace(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    index = int(rng.integers(2))
    new = _another_kind(scene, rng, index)
    return _pick(rng, instructions.replace(scene.things[index], new)), replace_thing(scene, index, new)


def _ground(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _other(rng, GROUNDS, scene.ground)
    return _pick(rng, instructions.ground(scene.ground, new)), replace(scene, ground=new)


def _sky(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _other(rng, SKIES, scene.sky)
    return _pick(rng, instructions.sky(new)), replace(scene, sky=new)


def _style(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _other(rng, STYLES, scene.style)
    return _pick(rng, instructions.style(new)), replace(scene, style=new)


def _add(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    old = scene.things[0]
    new = Thing(str(rng.choice(COLOURS)), _other(rng, KINDS, old.kind))
    return _pick(rng, instructions.add(old, new)), replace(scene, things=(old, new))


def _remove(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    index = int(rng.integers(2))
    return _pick(rng, instructions.remove(scene.things[index])), replace(
        scene, things=(scene.things[1 - index],)
    )


_RULES: dict[str, tuple[Callable[[Scene, np.random.Generator], tuple[str, Scene]], int | None]] = {
    "colour": (_colour, None),  # the rule, and the number of things it needs
    "object": (_object, 1),
    "replace": (_replace, 2),
    "ground": (_ground, None),
    "sky": (_sky, None),
    "style": (_style, None),
    "add": (_add, 1),
    "remove": (_remove, 2),
}
EDITS = tuple(_RULES)


def random_edit(rng: np.random.Generator, kind: str | None = None, held_out: bool | None = False) -> Edit:
    """Draws an edit of a random scene: of ``kind``, one of `EDITS`, or of a random kind.

    ``held_out`` is as for `random_scene`. If True, the scene after the edit has a combination kept out of training.
    """
    kind = kind or str(rng.choice(EDITS))
    rule, things = _RULES[kind]
    while True:
        before = random_scene(rng, things, held_out=False if held_out is not None else None)
        instruction, after = rule(before, rng)
        if held_out is None or after.held_out == held_out:
            return Edit(kind, instruction, before, after)
