"""What the mini world's language model reads before it is told of instructions: captions, and nothing else.

A document walks from scene to scene, each a neighbour of one before it, and tells every one in full, some in other
words first. So the model learns what a caption is, to carry words over from a caption above, and to change what
another line says is different. In half of the documents some words stand for others: there no word can be known
beforehand, and all that helps is to read. What is left to fine-tuning is what an instruction is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from miniworld.language import caption, scene_of
from miniworld.scene import (
    COLOURS,
    HELD_OUT_OBJECTS,
    HELD_OUT_PLACES,
    KINDS,
    Scene,
    Thing,
    random_scene,
    variations,
)
from miniworld.train.telling import in_brief, of_place, of_what_is_new
from miniworld.triples import reserved
from miniworld.words import WORDS

_OTHER_WORDS, _NEWS = 0.7, 0.65
_AGAIN = 0.15
_IN_CIPHER = 0.5
_SHARES = (0.15, 0.5, 1.0)  # of a document's words that stand for others


def document(rng: np.random.Generator, varied: bool = True) -> str:
    """Two to six scenes, a line each or two. None is reserved, none held out, nor is any that a cipher makes.

    Where it is not ``varied``, the other words are parts of the caption alone, and no word stands for another.
    """
    scenes = [_allowed_scene(rng)]
    lines = [caption(scenes[0])]
    for _ in range(int(rng.integers(1, 6))):
        before = scenes[int(rng.integers(len(scenes)))] if rng.random() < _AGAIN else scenes[-1]
        after = _neighbour(before, rng)
        if rng.random() < _OTHER_WORDS:
            news = varied and rng.random() < _NEWS
            lines.append(of_what_is_new(before, after, rng) if news else in_brief(after, rng))
        lines.append(caption(after))
        scenes.append(after)
    if varied and rng.random() < _IN_CIPHER:
        changed = in_cipher(lines, rng)
        lines = changed if _may_be_seen(changed) else lines
    return "\n".join(lines)


def in_cipher(lines: list[str], rng: np.random.Generator) -> list[str]:
    """The lines with a part of their words, or all, each replaced by one word throughout."""
    words = list(dict.fromkeys(word for line in lines for word in line.split()))
    share = _SHARES[int(rng.integers(len(_SHARES)))]
    hidden = [word for word in words if rng.random() < share]
    others = [word for word in WORDS if word not in words]
    drawn = rng.permutation(len(others))[: len(hidden)]
    key = {word: others[int(index)] for word, index in zip(hidden, drawn, strict=False)}
    return [" ".join(key.get(word, word) for word in line.split()) for line in lines]


def _may_be_seen(lines: list[str]) -> bool:
    for line in lines:
        if any(f"{colour} {kind}" in line for colour, kind in HELD_OUT_OBJECTS):
            return False
        if any(of_place(ground, sky) in line for ground, sky in HELD_OUT_PLACES):
            return False
        try:
            if reserved(scene_of(line)):
                return False
        except ValueError:
            continue
    return True


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
