"""Whether a caption pair is true: the grammar's own reading of its instruction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from miniworld import instructions
from miniworld.edits import with_thing
from miniworld.language import caption, scene_of
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Scene, Thing


class Verdict(Enum):
    """What there is to say of an answer; all but ``right`` are faults."""

    right = "right"
    unknown_caption = "the input caption is none of this world"
    unknown_instruction = "the grammar says no such thing of this scene"
    wrong_caption = "the edited caption is not what the instruction makes of the input caption"


@dataclass(frozen=True)
class Meaning:
    """The kind of an edit, one of `miniworld.edits.EDITS`, and the scene after it."""

    kind: str
    after: Scene


def meanings(scene: Scene) -> dict[str, Meaning]:
    """Every instruction that the grammar says of a scene, with what it means."""
    return {saying: Meaning(kind, after) for kind, said, after in _changes(scene) for saying in said}


def judge(input_caption: str, instruction: str, edited_caption: str) -> Verdict:
    """Applies the instruction to the input caption's scene and compares, letter by letter, with the edited caption."""
    try:
        scene = scene_of(input_caption)
    except ValueError:
        return Verdict.unknown_caption
    meaning = meanings(scene).get(instruction)
    if meaning is None:
        return Verdict.unknown_instruction
    return Verdict.right if edited_caption == caption(meaning.after) else Verdict.wrong_caption


_Change = tuple[str, tuple[str, ...], Scene]
"""The kind, the ways of saying it, the scene after it."""


def _changes(scene: Scene) -> Iterator[_Change]:
    for ground in _others(GROUNDS, scene.ground):
        yield "ground", instructions.ground(scene.ground, ground), replace(scene, ground=ground)
    for sky in _others(SKIES, scene.sky):
        yield "sky", instructions.sky(sky), replace(scene, sky=sky)
    for style in _others(STYLES, scene.style):
        yield "style", instructions.style(style), replace(scene, style=style)
    for index, old in enumerate(scene.things):
        for colour in _others(COLOURS, old.colour):
            after = with_thing(scene, index, replace(old, colour=colour))
            yield "colour", instructions.colour(old, colour), after
    yield from _changes_of_one(scene) if len(scene.things) == 1 else _changes_of_two(scene)


def _changes_of_one(scene: Scene) -> Iterator[_Change]:
    (old,) = scene.things
    for kind in _others(KINDS, old.kind):
        new = replace(old, kind=kind)
        yield "object", instructions.object_(old, new), replace(scene, things=(new,))
        for colour in COLOURS:
            second = Thing(colour, kind)
            yield "add", instructions.add(old, second), replace(scene, things=(old, second))


def _changes_of_two(scene: Scene) -> Iterator[_Change]:
    for index, old in enumerate(scene.things):
        yield "remove", instructions.remove(old), replace(scene, things=(scene.things[1 - index],))
        for kind in _others(KINDS, *(thing.kind for thing in scene.things)):
            new = replace(old, kind=kind)
            yield "replace", instructions.replace(old, new), with_thing(scene, index, new)


def _others(values: tuple[str, ...], *taken: str) -> Iterator[str]:
    return (value for value in values if value not in taken)
