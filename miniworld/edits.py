"""The grammar of edits: what an instruction does to a scene, and the ways of saying it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from miniworld.language import article, caption, name
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Scene, Thing, random_scene


@dataclass(frozen=True)
class Edit:
    """An instruction and the scenes before and after it. ``kind`` is one of `EDITS`."""

    kind: str
    instruction: str
    before: Scene
    after: Scene

    def as_line(self) -> dict[str, str]:
        """The caption pair as a line of input; the kind of edit travels along."""
        return {
            "input": caption(self.before),
            "edit": self.instruction,
            "output": caption(self.after),
            "kind": self.kind,
        }


def _other(rng: np.random.Generator, values: tuple[str, ...], *taken: str) -> str:
    return str(rng.choice([value for value in values if value not in taken]))


def _say(rng: np.random.Generator, *phrasings: str) -> str:
    return str(rng.choice(phrasings))


def _with_thing(scene: Scene, index: int, thing: Thing) -> Scene:
    things = list(scene.things)
    things[index] = thing
    return replace(scene, things=tuple(things))


def _colour(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    index = int(rng.integers(len(scene.things)))
    old = scene.things[index]
    new = replace(old, colour=_other(rng, COLOURS, old.colour))
    text = _say(
        rng,
        f"make the {old.kind} {new.colour}",
        f"paint the {old.kind} {new.colour}",
        f"turn the {old.colour} {old.kind} {new.colour}",
        f"change the colour of the {old.kind} to {new.colour}",
    )
    return text, _with_thing(scene, index, new)


def _another_kind(scene: Scene, rng: np.random.Generator, index: int) -> Thing:
    return replace(scene.things[index], kind=_other(rng, KINDS, *(thing.kind for thing in scene.things)))


def _object(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    old, new = scene.things[0], _another_kind(scene, rng, 0)
    text = _say(
        rng,
        f"turn the {old.kind} into {article(new.kind)}",
        f"make it {article(new.kind)}",
        f"swap the {old.kind} for {article(new.kind)}",
        f"change the {old.kind} to {article(new.kind)}",
    )
    return text, _with_thing(scene, 0, new)


def _replace(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    index = int(rng.integers(2))
    old, new = scene.things[index], _another_kind(scene, rng, index)
    text = _say(
        rng,
        f"replace the {old.kind} with {article(new.kind)}",
        f"put {article(new.kind)} in place of the {old.kind}",
        f"swap the {old.colour} {old.kind} with {name(new)}",
    )
    return text, _with_thing(scene, index, new)


def _ground(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _other(rng, GROUNDS, scene.ground)
    text = _say(
        rng,
        f"put it on {new}",
        f"change the ground to {new}",
        f"replace the {scene.ground} with {new}",
        f"what if it were on {new}?",
    )
    return text, replace(scene, ground=new)


_SAY_SKY = {
    "day": ("make it day", "let the sun shine", "change the time to noon", "as if it were day"),
    "night": ("make it night", "let it be night", "change the time to midnight", "as if it were night"),
    "sunset": ("make it sunset", "let the sun go down", "change the time to dusk", "give it a sunset"),
    "storm": ("make it stormy", "let a storm come up", "cover the sky with dark clouds", "add a storm"),
}


def _sky(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _other(rng, SKIES, scene.sky)
    return _say(rng, *_SAY_SKY[new]), replace(scene, sky=new)


def _style(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    new = _other(rng, STYLES, scene.style)
    text = _say(
        rng,
        f"turn it into {article(new)}",
        f"make it look like {article(new)}",
        f"render it as {article(new)}",
        f"as {article(new)}",
    )
    return text, replace(scene, style=new)


def _add(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    old = scene.things[0]
    new = Thing(str(rng.choice(COLOURS)), _other(rng, KINDS, old.kind))
    text = _say(
        rng,
        f"add {name(new)}",
        f"put {name(new)} beside it",
        f"place {name(new)} next to the {old.kind}",
        f"let there be {name(new)} too",
    )
    return text, replace(scene, things=(old, new))


def _remove(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    index = int(rng.integers(2))
    old = scene.things[index]
    text = _say(
        rng,
        f"remove the {old.kind}",
        f"take the {old.kind} away",
        f"delete the {old.colour} {old.kind}",
        f"get rid of the {old.kind}",
    )
    return text, replace(scene, things=(scene.things[1 - index],))


_RULES: dict[str, tuple[Callable[[Scene, np.random.Generator], tuple[str, Scene]], int | None]] = {
    "colour": (_colour, None),  # the rule, and the number of things it asks for
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
    """An edit of a random scene; ``kind`` one of `EDITS`, any if None; ``held_out`` as for `random_scene`.

    With ``held_out`` True it is the scene after the edit that has a combination kept out of training.
    """
    kind = kind or str(rng.choice(EDITS))
    rule, things = _RULES[kind]
    while True:
        before = random_scene(rng, things, held_out=False if held_out is not None else None)
        instruction, after = rule(before, rng)
        if held_out is None or after.held_out == held_out:
            return Edit(kind, instruction, before, after)
