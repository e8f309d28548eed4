"""What the mini world's language model reads before it is told of instructions: captions, and nothing else.

A document walks from scene to scene, each a neighbour of the one before, and tells every one in full, most in other
words first. So the model learns what a caption is, to carry words over from the caption above, and to change what
another line says is different. In half of the documents some words stand for others: there no word can be known
beforehand, and all that helps is to read. What is left to fine-tuning is what an instruction is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from miniworld.edits import with_thing
from miniworld.language import article, caption, scene_of
from miniworld.lm_tokenizer import WORDS
from miniworld.scene import (
    COLOURS,
    GROUNDS,
    HELD_OUT_OBJECTS,
    HELD_OUT_PLACES,
    KINDS,
    SKIES,
    STYLES,
    Scene,
    Thing,
    random_scene,
)
from miniworld.train.paraphrases import in_brief, of_place, of_what_is_new
from miniworld.triples import reserved

_NEWS, _IN_BRIEF = 0.75, 0.15
_IN_CIPHER = 0.5
_SHARES = (0.15, 0.5, 1.0)  # of a document's words that stand for others
_AS_THEY_ARE = frozenset({"a", "an", "and"})  # words that can be due where they have not been read before
_WAYS = ("things", "colour", "object", "style", "ground", "sky")


@dataclass(frozen=True)
class Line:
    """A line of a document, and whether it is to be learnt: one of words drawn at random only stands to be read."""

    text: str
    learnt: bool = True


def document(rng: np.random.Generator) -> list[Line]:
    """Two to five scenes, a line each or two. None is reserved, none held out, nor is any that a cipher makes."""
    cipher = rng.random() < _IN_CIPHER
    # What the sky is called by day and at night is not to be had from other words: a cipher has one sky throughout.
    ways = _WAYS[:-1] if cipher else _WAYS
    scene = _allowed_scene(rng)
    lines = [Line(caption(scene), not cipher)]
    for _ in range(int(rng.integers(1, 5))):
        before, scene = scene, _neighbour(scene, ways, rng)
        chance = rng.random()
        if cipher or chance < _NEWS:
            lines.append(Line(of_what_is_new(before, scene, rng), not cipher))
        elif chance < _NEWS + _IN_BRIEF:
            lines.append(Line(in_brief(scene, rng)))
        lines.append(Line(caption(scene)))
    if not cipher:
        return lines
    texts = in_cipher([line.text for line in lines], rng)
    if not _may_be_seen(texts):
        return document(rng)
    return [Line(text, line.learnt) for text, line in zip(texts, lines, strict=True)]


def in_cipher(lines: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The lines with a part of their words, or all, each replaced by one word throughout; articles are put right."""
    words = [word for word in dict.fromkeys(" ".join(lines).split()) if word not in _AS_THEY_ARE]
    share = _SHARES[int(rng.integers(len(_SHARES)))]
    hidden = [word for word in words if rng.random() < share]
    others = [word for word in WORDS if word not in words and word not in _AS_THEY_ARE]
    drawn = rng.permutation(len(others))[: len(hidden)]
    key = {word: others[int(index)] for word, index in zip(hidden, drawn, strict=False)}
    changed = (" ".join(key.get(word, word) for word in line.split()) for line in lines)
    return [re.sub(r"\ban? (\w+)", lambda found: article(found[1]), line) for line in changed]


def _may_be_seen(lines: Sequence[str]) -> bool:
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


def _neighbour(scene: Scene, ways: Sequence[str], rng: np.random.Generator) -> Scene:
    """A scene with one attribute changed, or a thing more or less; every way as likely as the others."""
    while True:
        found = _changed(scene, ways[int(rng.integers(len(ways)))], rng)
        if _allowed(found):
            return found


def _changed(scene: Scene, way: str, rng: np.random.Generator) -> Scene:
    index = int(rng.integers(len(scene.things)))
    thing = scene.things[index]
    kinds = [thing.kind for thing in scene.things]
    match way:
        case "style":
            return replace(scene, style=_other(rng, STYLES, scene.style))
        case "ground":
            return replace(scene, ground=_other(rng, GROUNDS, scene.ground))
        case "sky":
            return replace(scene, sky=_other(rng, SKIES, scene.sky))
        case "colour":
            return with_thing(scene, index, replace(thing, colour=_other(rng, COLOURS, thing.colour)))
        case "object":
            return with_thing(scene, index, replace(thing, kind=_other(rng, KINDS, *kinds)))
    if len(scene.things) == 2:
        return replace(scene, things=(thing,))
    return replace(scene, things=(thing, Thing(_other(rng, COLOURS), _other(rng, KINDS, *kinds))))


def _other(rng: np.random.Generator, values: Sequence[str], *taken: str) -> str:
    left = [value for value in values if value not in taken]
    return left[int(rng.integers(len(left)))]
