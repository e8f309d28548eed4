"""Checks whether a caption pair is right, by the grammar's meaning of its instruction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from miniworld import instructions
from miniworld.edits import replace_thing
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Scene, Thing
from miniworld.scene_captions import caption, parse_caption


class Verdict(Enum):
    """The result of the check. All but ``right`` are faults."""

    right = "right"
    unknown_caption = "the input caption is not of this world"
    unknown_instruction = "the grammar has no such instruction for this scene"
    wrong_caption = "the edited caption does not follow from the instruction"


@dataclass(frozen=True)
class Meaning:
    """The meaning of an instruction: the kind of edit, one of `miniworld.edits.EDITS`, and the scene after it."""

    kind: str
    after: Scene


def meanings(scene: Scene) -> dict[str, Meaning]:
    """Lists every instruction that the grammar has for a scene, with its meaning."""
    return {
        instruction: Meaning(kind, after)
        for kind, phrasings, after in _changes(scene)
        for instruction in phrasings
    }


def judge(input_caption: str, instruction: str, edited_caption: str) -> Verdict:
    """Applies the instruction to the scene of the input caption and compares the result with the edited caption."""
    try:
        scene = parse_caption(input_caption)
    except ValueError:
        return Verdict.unknown_caption
    meaning = meanings(scene).get(instruction)
    if meaning is None:
        return Verdict.unknown_instruction
    return Verdict.right if edited_caption == caption(meaning.after) else Verdict.wrong_caption


_Change = tuple[str, tuple[str, ...], Scene]
"""The kind, the instruction in each of its phrasings, and the scene after it."""


def _changes(scene: Scene) -> Iterator[_Change]:
    for ground in _others(GROUNDS, scene.ground):
        yield "ground", instructions.ground(scene.ground, ground), replace(scene, ground=ground)
    for sky in _others(SKIES, scene.sky):
        yield "sky", instructions.sky(sky), replace(scene, sky=sky)
    for style in _others(STYLES, scene.style):
        yield "style", instructions.style(style), replace(scene, style=style)
    for index, old in enumerate(scene.things):
        for colour in _others(COLOURS, old.colour):
            after = replace_thing(scene, index, replace(old, colour=colour))
            yield "colour", instructions.colour(old, colour), after
    yield from _changes_of_one_thing(scene) if len(scene.things) == 1 else _changes_of_two_things(scene)


def _changes_of_one_thing(scene: Scene) -> Iterator[_Change]:
    (old,) = scene.things
    for kind in _others(KINDS, old.kind):
        new = replace(old, kind=kind)
        yield "object", instructions.object_(old, new), replace(scene, things=(new,))
        for colour in COLOURS:
            second = Thing(colour, kind)
            yield "add", instructions.add(old, second), replace(scene, things=(old, second))


def _changes_of_two_things(scene: Scene) -> Iterator[_Change]:
    for index, old in enumerate(scene.things):
        yield "remove", instructions.remove(old), replace(scene, things=(scene.things[1 - index],))
        for kind in _others(KINDS, *(thing.kind for thing in scene.things)):
            new = replace(old, kind=kind)
            yield "replace", instructions.replace(old, new), replace_thing(scene, index, new)


def _others(values: tuple[str, ...], *taken: str) -> Iterator[str]:
    return (value for value in values if value not in taken)
