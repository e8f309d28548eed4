"""Captions in other words: of a part of a scene, or of what is new in it."""

from __future__ import annotations

import numpy as np

from miniworld.language import GROUND_WORDS, SKY_WORDS, article, name
from miniworld.scene import Scene, Thing

_SKIES = {
    "day": ("it is day", "the sun is up", "it is noon now"),
    "night": ("it is night now", "it is midnight", "all is dark"),
    "sunset": ("the sun is down", "it is dusk now", "it is a sunset"),
    "storm": ("dark clouds cover the sky", "it is stormy now", "a storm has come up"),
}


def of_place(ground: str, sky: str) -> str:
    """The end of a whole caption: "on sand at sunset"."""
    return f"{GROUND_WORDS[ground]} {SKY_WORDS[sky]}"


def in_brief(scene: Scene, rng: np.random.Generator) -> str:
    """One to three of the scene's attributes, in any order."""
    phrases = [article(scene.style), scene.ground, GROUND_WORDS[scene.ground], SKY_WORDS[scene.sky]]
    for thing in scene.things:
        phrases += [name(thing), f"the {thing.kind} is {thing.colour}", article(thing.kind), thing.colour]
    chosen = rng.choice(len(phrases), size=int(rng.integers(1, 4)), replace=False)
    return " ".join(phrases[int(index)] for index in chosen)


def of_what_is_new(before: Scene, after: Scene, rng: np.random.Generator) -> str:
    """A line on what the second scene has and the first has not; they are neighbours."""
    told = _news(before, after)
    return told[int(rng.integers(len(told)))]


def _news(before: Scene, after: Scene) -> tuple[str, ...]:
    if before.style != after.style:
        new = article(after.style)
        return f"it is {new} now", f"all is seen as {new}", f"it has become {new}", new
    if before.ground != after.ground:
        return (
            f"it is on {after.ground} now",
            f"the ground is {after.ground}",
            f"{after.ground} where the {before.ground} was",
            f"all stands on {after.ground}",
        )
    if before.sky != after.sky:
        return _SKIES[after.sky]
    gone = [thing for thing in before.things if thing not in after.things]
    come = [thing for thing in after.things if thing not in before.things]
    if not gone:
        return _of_more(before.things[0], come[0])
    if not come:
        return _of_less(gone[0], after.things[0])
    return _of_another(gone[0], come[0])


def _of_more(old: Thing, new: Thing) -> tuple[str, ...]:
    return (
        f"there is {name(new)} too",
        f"{name(new)} stands next to the {old.kind}",
        f"{name(new)} beside it",
        f"now with {name(new)}",
    )


def _of_less(gone: Thing, left: Thing) -> tuple[str, ...]:
    return (
        f"the {gone.kind} is gone",
        f"the {gone.colour} {gone.kind} is away",
        f"no more {gone.kind}",
        f"only the {left.kind} is left",
    )


def _of_another(gone: Thing, come: Thing) -> tuple[str, ...]:
    if gone.kind == come.kind:
        return (
            f"the {come.kind} is {come.colour} now",
            f"the {gone.colour} {gone.kind} has become {come.colour}",
            f"the colour of the {come.kind} is {come.colour}",
            f"the {come.kind} once {gone.colour} is {come.colour}",
        )
    return (
        f"{article(come.kind)} where the {gone.kind} was",
        f"the {gone.kind} has become {article(come.kind)}",
        f"the {gone.colour} {gone.kind} is {name(come)} now",
        f"{article(come.kind)} in place of the {gone.kind}",
    )
