"""What the mini world's language model reads before it is told of instructions: captions, and nothing else.

A document walks from scene to scene, each a neighbour of one before it, and tells every one in full, some in brief
first. So the model learns what a caption is, to carry words over from a caption above, and to change what a brief
caption says is different: all that is left to fine-tuning is what an instruction is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miniworld.language import article, caption, name
from miniworld.scene import COLOURS, KINDS, Scene, Thing, random_scene, variations
from miniworld.triples import reserved

_BRIEF = 0.5
_AGAIN = 0.15


def document(rng: np.random.Generator) -> str:
    """Two to six scenes, a caption a line. None is reserved, none held out."""
    scenes = [_allowed_scene(rng)]
    lines = [caption(scenes[0])]
    for _ in range(int(rng.integers(1, 6))):
        before = scenes[int(rng.integers(len(scenes)))] if rng.random() < _AGAIN else scenes[-1]
        after = _neighbour(before, rng)
        if rng.random() < _BRIEF:
            lines.append(_brief(before, after, rng))
        lines.append(caption(after))
        scenes.append(after)
    return "\n".join(lines)


def _allowed(scene: Scene) -> bool:
    return not scene.held_out and not reserved(scene)


def _allowed_scene(rng: np.random.Generator) -> Scene:
    while True:
        scene = random_scene(rng)
        if _allowed(scene):
            return scene


def _neighbour(scene: Scene, rng: np.random.Generator) -> Scene:
    """A scene with one attribute changed, or a thing more or less; every way as likely as the others."""
    near: dict[str, list[Scene]] = {"things": _more_or_less(scene)}
    for attribute, other in variations(scene):
        near.setdefault(attribute, []).append(other)
    ways = list(near.values())
    while True:
        way = ways[int(rng.integers(len(ways)))]
        found = way[int(rng.integers(len(way)))]
        if _allowed(found):
            return found


def _more_or_less(scene: Scene) -> list[Scene]:
    if len(scene.things) == 2:
        return [replace(scene, things=(thing,)) for thing in scene.things]
    (old,) = scene.things
    new = [Thing(colour, kind) for kind in KINDS if kind != old.kind for colour in COLOURS]
    return [replace(scene, things=(old, thing)) for thing in new]


def _brief(before: Scene, after: Scene, rng: np.random.Generator) -> str:
    """A few words of the second scene: in two cases of three what the first has not, else anything."""
    if rng.random() < 2 / 3:
        phrases = [phrase for phrase in _phrases(after) if phrase not in _phrases(before)]
        phrases = phrases or [_only(after)]
        return phrases[int(rng.integers(len(phrases)))]
    phrases = _phrases(after)
    chosen = rng.choice(len(phrases), size=int(rng.integers(1, 4)), replace=False)
    return " ".join(phrases[int(index)] for index in chosen)


def _only(scene: Scene) -> str:
    return f"only {name(scene.things[0])}"


def _phrases(scene: Scene) -> list[str]:
    """Ways of telling one attribute of a scene."""
    found = [
        article(scene.style),
        scene.ground,
        f"on {scene.ground}",
        scene.sky,
        f"{scene.sky} on {scene.ground}",
    ]
    for thing in scene.things:
        found += [name(thing), f"the {thing.colour} {thing.kind}", f"the {thing.kind} is {thing.colour}"]
        found += [article(thing.kind), thing.colour]
    return found
