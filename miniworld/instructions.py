"""How edits are said: for each kind of edit the instructions that mean one change of one scene."""

from __future__ import annotations

from miniworld.language import article, name
from miniworld.scene import Thing


def colour(old: Thing, new: str) -> tuple[str, ...]:
    """`old` becomes `new` in colour."""
    return (
        f"make the {old.kind} {new}",
        f"paint the {old.kind} {new}",
        f"turn the {old.colour} {old.kind} {new}",
        f"change the colour of the {old.kind} to {new}",
    )


def object_(old: Thing, new: Thing) -> tuple[str, ...]:
    """The scene's only thing becomes another."""
    return (
        f"turn the {old.kind} into {article(new.kind)}",
        f"make it {article(new.kind)}",
        f"swap the {old.kind} for {article(new.kind)}",
        f"change the {old.kind} to {article(new.kind)}",
    )


def replace(old: Thing, new: Thing) -> tuple[str, ...]:
    """One of two things becomes another."""
    return (
        f"replace the {old.kind} with {article(new.kind)}",
        f"put {article(new.kind)} in place of the {old.kind}",
        f"swap the {old.colour} {old.kind} with {name(new)}",
    )


def ground(old: str, new: str) -> tuple[str, ...]:
    """The ground becomes another."""
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
    """The sky becomes another."""
    return _SKY[new]


def style(new: str) -> tuple[str, ...]:
    """The style becomes another."""
    return (
        f"turn it into {article(new)}",
        f"make it look like {article(new)}",
        f"render it as {article(new)}",
        f"as {article(new)}",
    )


def add(old: Thing, new: Thing) -> tuple[str, ...]:
    """A second thing beside the only one."""
    return (
        f"add {name(new)}",
        f"put {name(new)} beside it",
        f"place {name(new)} next to the {old.kind}",
        f"let there be {name(new)} too",
    )


def remove(old: Thing) -> tuple[str, ...]:
    """One of two things goes."""
    return (
        f"remove the {old.kind}",
        f"take the {old.kind} away",
        f"delete the {old.colour} {old.kind}",
        f"get rid of the {old.kind}",
    )
