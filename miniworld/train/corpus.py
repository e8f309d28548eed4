"""Pretraining corpus of the mini world's language model: captions and paraphrases, without instructions.

A document walks from scene to scene, each a neighbour of the one before. It has the whole caption of every scene, most
after a line in other words. The model learns what a caption is, to copy words from the caption above, and to change
what another line says is different. In half of the documents a cipher replaces words by others, so that the model must
read the words above and cannot guess them. Only fine-tuning teaches what an instruction is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from miniworld.edits import replace_thing
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
from miniworld.scene_captions import caption, parse_caption, with_article
from miniworld.train.paraphrases import describe_briefly, describe_change, describe_place
from miniworld.triples import is_reserved

_NEWS, _IN_BRIEF = 0.75, 0.15
_IN_CIPHER = 0.5
_SHARES = (0.15, 0.5, 1.0)  # of a document's words that the cipher replaces
_AS_THEY_ARE = frozenset({"a", "an", "and"})  # words that may be needed without having been read before
_WAYS = ("things", "colour", "object", "style", "ground", "sky")


@dataclass(frozen=True)
class Line:
    """A line of a document. ``learned`` is False for a line that the loss ignores, because its words are random."""

    text: str
    learned: bool = True


def make_document(rng: np.random.Generator) -> list[Line]:
    """Draws a document of two to five scenes, one or two lines each. No line shows a reserved or held-out scene."""
    cipher = rng.random() < _IN_CIPHER
    # The words for a sky cannot be derived from its paraphrase, so a document in cipher keeps one sky.
    ways = _WAYS[:-1] if cipher else _WAYS
    scene = _draw_allowed_scene(rng)
    lines = [Line(caption(scene), not cipher)]
    for _ in range(int(rng.integers(1, 5))):
        before, scene = scene, _neighbour(scene, ways, rng)
        chance = rng.random()
        if cipher or chance < _NEWS:
            lines.append(Line(describe_change(before, scene, rng), not cipher))
        elif chance < _NEWS + _IN_BRIEF:
            lines.append(Line(describe_briefly(scene, rng)))
        lines.append(Line(caption(scene)))
    if not cipher:
        return lines
    texts = encipher([line.text for line in lines], rng)
    if not _is_allowed_text(texts):
        return make_document(rng)
    return [Line(text, line.learned) for text, line in zip(texts, lines, strict=True)]


def encipher(lines: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Replaces some or all words of the lines, each by the same word everywhere, and corrects the articles."""
    words = [word for word in dict.fromkeys(" ".join(lines).split()) if word not in _AS_THEY_ARE]
    share = _SHARES[int(rng.integers(len(_SHARES)))]
    hidden = [word for word in words if rng.random() < share]
    others = [word for word in WORDS if word not in words and word not in _AS_THEY_ARE]
    drawn = rng.permutation(len(others))[: len(hidden)]
    key = {word: others[int(index)] for word, index in zip(hidden, drawn, strict=False)}
    enciphered = (" ".join(key.get(word, word) for word in line.split()) for line in lines)
    return [re.sub(r"\ban? (\w+)", lambda match: with_article(match[1]), line) for line in enciphered]


def _is_allowed_text(lines: Sequence[str]) -> bool:
    for line in lines:
        if any(f"{colour} {kind}" in line for colour, kind in HELD_OUT_OBJECTS):
            return False
        if any(describe_place(ground, sky) in line for ground, sky in HELD_OUT_PLACES):
            return False
        try:
            if is_reserved(parse_caption(line)):
                return False
        except ValueError:
            continue
    return True


def _is_allowed(scene: Scene) -> bool:
    return not scene.held_out and not is_reserved(scene)


def _draw_allowed_scene(rng: np.random.Generator) -> Scene:
    while True:
        scene = random_scene(rng)
        if _is_allowed(scene):
            return scene


def _neighbour(scene: Scene, ways: Sequence[str], rng: np.random.Generator) -> Scene:
    """Changes one attribute, or adds or removes a thing; every way is equally likely."""
    while True:
        neighbour = _change(scene, ways[int(rng.integers(len(ways)))], rng)
        if _is_allowed(neighbour):
            return neighbour


def _change(scene: Scene, way: str, rng: np.random.Generator) -> Scene:
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
            return replace_thing(scene, index, replace(thing, colour=_other(rng, COLOURS, thing.colour)))
        case "object":
            return replace_thing(scene, index, replace(thing, kind=_other(rng, KINDS, *kinds)))
    if len(scene.things) == 2:
        return replace(scene, things=(thing,))
    return replace(scene, things=(thing, Thing(_other(rng, COLOURS), _other(rng, KINDS, *kinds))))


def _other(rng: np.random.Generator, values: Sequence[str], *taken: str) -> str:
    others = [value for value in values if value not in taken]
    return others[int(rng.integers(len(others)))]
