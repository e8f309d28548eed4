"""Writes the caption of a scene, and parses it."""

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

WORDS = frozenset(
    " ".join((*STYLES, *KINDS, *COLOURS, *GROUND_WORDS.values(), *SKY_WORDS.values(), "a an and of")).split()
)
"""Every word that a caption of this world has."""


def unknown_words(text: str) -> list[str]:
    """Lists the words of ``text`` that no caption of this world has, in lower case and in their order."""
    return [word for word in re.findall(r"[^\W_]+", text.lower()) if word not in WORDS]


def with_article(word: str) -> str:
    """Puts the indefinite article before the word."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def name_thing(thing: Thing) -> str:
    """Names a thing with its article: "a red ball"."""
    return f"{with_article(thing.colour)} {thing.kind}"


def caption(scene: Scene, style: bool = True, sky: bool = True) -> str:
    """Writes the scene's caption: "a photo of a red ball and a blue house on sand at sunset".

    ``style`` or ``sky`` False leaves those words out. A caption without them means a photo, by day.

    Raises:
        ValueError: the style is not a photo or the sky is not day, so that those words are needed.
    """
    if (not style and scene.style != "photo") or (not sky and scene.sky != "day"):
        raise ValueError(f"only 'photo' and 'day' may be left out, not {scene.style!r} and {scene.sky!r}")
    words = " and ".join(name_thing(thing) for thing in scene.things) + " " + GROUND_WORDS[scene.ground]
    if style:
        words = f"{with_article(scene.style)} of {words}"
    if sky:
        words = f"{words} {SKY_WORDS[scene.sky]}"
    return words


_CAPTION = re.compile(
    r"an? (?P<style>[a-z ]+?) of an? (?P<things>.+) on (?P<ground>\w+) (?P<sky>by day|at night|at sunset|in a storm)"
)


def parse_caption(text: str) -> Scene:
    """Parses a whole caption to its scene: the inverse of ``caption``.

    Raises:
        ValueError: a text that is not the whole caption of a scene.
    """
    match = _CAPTION.fullmatch(text)
    if match:
        things = [Thing(*thing.partition(" ")[::2]) for thing in re.split(r" and an? ", match["things"])]
        scene = Scene(match["style"], tuple(things), match["ground"], match["sky"].split()[-1])
        known = scene.style in STYLES and scene.ground in GROUNDS
        if known and all(thing.colour in COLOURS and thing.kind in KINDS for thing in things):
            return scene
    raise ValueError(
        f"{text!r} is not a whole caption of this world, such as 'a photo of a red ball on grass by day'"
    )


def random_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Writes a caption without "photo", and without "by day", in a quarter of the cases each."""
    omit = rng.random(2) < 0.25
    return caption(
        scene, style=not (omit[0] and scene.style == "photo"), sky=not (omit[1] and scene.sky == "day")
    )
