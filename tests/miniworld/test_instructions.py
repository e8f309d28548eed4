"""Phrasings of instructions: they say what becomes of what, and no two edits of a scene share one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest

from miniworld import instructions
from miniworld.scene import COLOURS, GROUNDS, KINDS, SKIES, STYLES, Thing

OLD = Thing("orange", "box")


def all_phrasings() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every instruction for a scene with an orange box, as (what it makes, its phrasings)."""
    for colour in COLOURS:
        yield f"colour {colour}", instructions.colour(OLD, colour)
    for kind in KINDS:
        yield f"object {kind}", instructions.object_(OLD, Thing("orange", kind))
        yield f"add {kind}", instructions.add(OLD, Thing("blue", kind))
    for ground in GROUNDS:
        yield f"ground {ground}", instructions.ground("grass", ground)
    for sky in SKIES:
        yield f"sky {sky}", instructions.sky(sky)
    for style in STYLES:
        yield f"style {style}", instructions.style(style)
    yield "remove", instructions.remove(OLD)


def test_an_instruction_means_one_edit() -> None:
    phrasings = dict(all_phrasings())
    for (a, first), (b, second) in itertools.combinations(phrasings.items(), 2):
        assert not set(first) & set(second), (a, b)
    assert all(len(set(texts)) == len(texts) >= 3 for texts in phrasings.values())


def test_articles_fit_the_words_after_them() -> None:
    for _, phrasings in all_phrasings():
        for text in phrasings:
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text


@pytest.mark.parametrize(
    ("phrasings", "words"),
    [
        (instructions.colour(OLD, "blue"), ("box", "blue")),
        (instructions.replace(OLD, Thing("orange", "star")), ("box", "star")),
        (instructions.ground("grass", "sand"), ("sand",)),
        (instructions.style("mosaic"), ("mosaic",)),
        (instructions.add(OLD, Thing("pink", "tree")), ("a pink tree",)),
        (instructions.remove(OLD), ("box",)),
    ],
)
def test_every_phrasing_names_what_changes(phrasings: tuple[str, ...], words: tuple[str, ...]) -> None:
    for text in phrasings:
        assert [word for word in words if not re.search(rf"\b{word}\b", text)] == []


def test_there_is_an_instruction_for_every_sky() -> None:
    for sky in SKIES:
        assert len(set(instructions.sky(sky))) >= 3
