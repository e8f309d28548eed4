"""The captions of scenes."""

from __future__ import annotations

import re

import numpy as np

from miniworld.scene import COLOURS, GROUNDS, KINDS, STYLES, Scene, Thing

GROUND_WORDS = {
    "grass": "on grass",
    "sand": "on sand",
    "snow": "on snow",
    "water": "on water",
    "lava": "on lava",
}
SKY_WORDS = {"day": "by day", "night": "at night", "sunset": "at sunset", "storm": "in a storm"}


def article(word: str) -> str:
    """The word with its indefinite article."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def name(thing: Thing) -> str:
    """A thing with its article: "a red ball"."""
    return f"{article(thing.colour)} {thing.kind}"


def caption(scene: Scene, style: bool = True, sky: bool = True) -> str:
    """The scene's caption: "a photo of a red ball and a blue house on sand at sunset".

    ``style`` and ``sky`` False leave those words out; a caption without them means a photo, and day.

    Raises:
        ValueError: words are to be left out that the caption needs.
    """
    if (not style and scene.style != "photo") or (not sky and scene.sky != "day"):
        raise ValueError(f"only 'photo' and 'day' go without saying, not {scene.style!r} and {scene.sky!r}")
    words = " and ".join(name(thing) for thing in scene.things) + " " + GROUND_WORDS[scene.ground]
    if style:
        words = f"{article(scene.style)} of {words}"
    if sky:
        words = f"{words} {SKY_WORDS[scene.sky]}"
    return words


_CAPTION = re.compile(
    r"an? (?P<style>[a-z ]+?) of an? (?P<things>.+) on (?P<ground>\w+) (?P<sky>by day|at night|at sunset|in a storm)"
)


def scene_of(text: str) -> Scene:
    """The scene of a whole caption: the inverse of ``caption``.

    Raises:
        ValueError: text that ``caption`` does not say of any scene.
    """
    found = _CAPTION.fullmatch(text)
    if found:
        things = [Thing(*thing.partition(" ")[::2]) for thing in re.split(r" and an? ", found["things"])]
        scene = Scene(found["style"], tuple(things), found["ground"], found["sky"].split()[-1])
        known = scene.style in STYLES and scene.ground in GROUNDS
        if known and all(thing.colour in COLOURS and thing.kind in KINDS for thing in things):
            return scene
    raise ValueError(
        f"{text!r} is no whole caption of this world, such as 'a photo of a red ball on grass by day'"
    )


def random_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption that leaves what goes without saying unsaid in a quarter of the cases."""
    quiet = rng.random(2) < 0.25
    return caption(
        scene, style=not (quiet[0] and scene.style == "photo"), sky=not (quiet[1] and scene.sky == "day")
    )
