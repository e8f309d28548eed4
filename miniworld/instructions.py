"""Instructions for each kind of edit, each in several phrasings."""

from __future__ import annotations

from miniworld.scene import Thing
from miniworld.scene_captions import name_thing, with_article


def colour(old: Thing, new: str) -> tuple[str, ...]:
    """Phrases that the colour of `old` becomes `new`."""
    return (
        f"make the {old.kind} {new}",
        f"paint the {old.kind} {new}",
        f"turn the {old.colour} {old.kind} {new}",
        f"change the colour of the {old.kind} to {new}",
    )


def object_(old: Thing, new: Thing) -> tuple[str, ...]:
    """Phrases that the only thing becomes another."""
    return (
        f"turn the {old.kind} into {with_article(new.kind)}",
        f"make it {with_article(new.kind)}",
        f"swap the {old.kind} for {with_article(new.kind)}",
        f"change the {old.kind} to {with_article(new.kind)}",
    )


def replace(old: Thing, new: Thing) -> tuple[str, ...]:
    """Phrases that one of two things becomes another."""
    return (
        f"replace the {old.kind} with {with_article(new.kind)}",
        f"put {with_article(new.kind)} in place of the {old.kind}",
        f"swap the {old.colour} {old.kind} with {name_thing(new)}",
    )


def ground(old: str, new: str) -> tuple[str, ...]:
    """Phrases that the ground becomes another."""
    return (
        f"put it on {new}",
        f"change the ground to {new}",
        f"replace the {old} with {new}",
        f"what if it were on {new}?",
    )


_SKY = {
    "day": ("make it day", "let the sun shine", "change the time to noon", "as if it were day"),
    "night": ("make it night", "let it be night", "change the time to midnight", "as if it were night"),
    "sunset": ("make it sunset", "let the sun go down", "change the time to dusk", "give it a sunset"),
    "storm": ("make it stormy", "let a storm come up", "cover the sky with dark clouds", "add a storm"),
}


def sky(new: str) -> tuple[str, ...]:
    """Phrases that the sky becomes another."""
    return _SKY[new]


def style(new: str) -> tuple[str, ...]:
    """Phrases that the style becomes another."""
    return (
        f"turn it into {with_article(new)}",
        f"make it look like {with_article(new)}",
        f"render it as {with_article(new)}",
        f"as {with_article(new)}",
    )


def add(old: Thing, new: Thing) -> tuple[str, ...]:
    """Phrases that a second thing is added."""
    return (
        f"add {name_thing(new)}",
        f"put {name_thing(new)} beside it",
        f"place {name_thing(new)} next to the {old.kind}",
        f"let there be {name_thing(new)} too",
    )


def remove(old: Thing) -> tuple[str, ...]:
    """Phrases that one of two things is removed."""
    return (
        f"remove the {old.kind}",
        f"take the {old.kind} away",
        f"delete the {old.colour} {old.kind}",
        f"get rid of the {old.kind}",
    )
