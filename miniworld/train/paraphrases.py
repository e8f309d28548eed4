"""Paraphrases captions: parts of a scene, or the change from one scene to the next."""

from __future__ import annotations

import numpy as np

from miniworld.scene import Scene, Thing
from miniworld.scene_captions import GROUND_WORDS, SKY_WORDS, name_thing, with_article

_SKIES = {
    "day": ("it is day", "the sun is up", "it is noon now"),
    "night": ("it is night now", "it is midnight", "all is dark"),
    "sunset": ("the sun is down", "it is dusk now", "it is a sunset"),
    "storm": ("dark clouds cover the sky", "it is stormy now", "a storm has come up"),
}


def describe_place(ground: str, sky: str) -> str:
    """Describes ground and sky as the end of a caption does: "on sand at sunset"."""
    return f"{GROUND_WORDS[ground]} {SKY_WORDS[sky]}"


def describe_briefly(scene: Scene, rng: np.random.Generator) -> str:
    """Names one to three of the scene's attributes, in any order."""
    phrases = [with_article(scene.style), scene.ground, GROUND_WORDS[scene.ground], SKY_WORDS[scene.sky]]
    for thing in scene.things:
        phrases += [
            name_thing(thing),
            f"the {thing.kind} is {thing.colour}",
            with_article(thing.kind),
            thing.colour,
        ]
    chosen = rng.choice(len(phrases), size=int(rng.integers(1, 4)), replace=False)
    return " ".join(phrases[int(index)] for index in chosen)


def describe_change(before: Scene, after: Scene, rng: np.random.Generator) -> str:
    """Describes the change between neighbouring scenes by what is new in the second."""
    phrasings = _phrase_change(before, after)
    return phrasings[int(rng.integers(len(phrasings)))]


def _phrase_change(before: Scene, after: Scene) -> tuple[str, ...]:
    if before.style != after.style:
        new = with_article(after.style)
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
    removed = [thing for thing in before.things if thing not in after.things]
    added = [thing for thing in after.things if thing not in before.things]
    if not removed:
        return _phrase_addition(before.things[0], added[0])
    if not added:
        return _phrase_removal(removed[0], after.things[0])
    return _phrase_replacement(removed[0], added[0])


def _phrase_addition(old: Thing, new: Thing) -> tuple[str, ...]:
    return (
        f"there is {name_thing(new)} too",
        f"{name_thing(new)} stands next to the {old.kind}",
        f"{name_thing(new)} beside it",
        f"now with {name_thing(new)}",
    )


def _phrase_removal(removed: Thing, remaining: Thing) -> tuple[str, ...]:
    return (
        f"the {removed.kind} is gone",
        f"the {removed.colour} {removed.kind} is away",
        f"no more {removed.kind}",
        f"only the {remaining.kind} is left",
    )


def _phrase_replacement(old: Thing, new: Thing) -> tuple[str, ...]:
    if old.kind == new.kind:
        return (
            f"the {new.kind} is {new.colour} now",
            f"the {old.colour} {old.kind} has become {new.colour}",
            f"the colour of the {new.kind} is {new.colour}",
            f"the {new.kind} once {old.colour} is {new.colour}",
        )
    return (
        f"{with_article(new.kind)} where the {old.kind} was",
        f"the {old.kind} has become {with_article(new.kind)}",
        f"the {old.colour} {old.kind} is {name_thing(new)} now",
        f"{with_article(new.kind)} in place of the {old.kind}",
    )
