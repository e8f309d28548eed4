"""Bounds of settings: a field of a schema carries the test that its value must pass, and every number is finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING


@dataclass(frozen=True)
class Bound:
    """``requirement`` ends the error line "KEY=VALUE must …"; ``spec`` formats the value in it."""

    holds: Callable[[Any], bool]
    requirement: str
    spec: str = "g"


NOT_NEGATIVE = Bound(lambda value: value >= 0, "be 0 or more")
POSITIVE = Bound(lambda value: value > 0, "be over 0")
SHARE = Bound(lambda value: 0 < value <= 1, "be over 0 and at most 1")
PART = Bound(lambda value: 0 <= value <= 1, "be a share, from 0 to 1")
CHANCE = Bound(lambda value: 0 <= value <= 1, "be a probability, from 0 to 1")


def at_least(minimum: int) -> Bound:
    """The bound of counts and of seconds."""
    return Bound(lambda value: value >= minimum, f"be {minimum} or more", spec="")


def between(low: float, high: float) -> Bound:
    """The bound of numbers from ``low`` to ``high``, both included."""
    return Bound(lambda value: low <= value <= high, f"be from {low} to {high}")


ANY_SEED = Bound(lambda seed: -(2**63) <= seed < 2**63, "be an integer of 64 bits", spec="")
SIMILARITY = between(-1, 1)
GUIDANCE = between(0, 100)
HASH_BITS = Bound(lambda bits: 0 <= bits <= 192, "be from 0 to 192, the bits of the hash", spec="")
STEPS = Bound(lambda steps: 1 <= steps <= 1000, "be from 1 to 1000, the steps of training", spec="")


def bounded(bound: Bound, default: Any = MISSING) -> Any:
    """A field of a schema with this bound and default. None is within every bound."""
    return field(default=default, metadata={"bound": bound})


def out_of_bounds(settings: Any, prefix: str = "") -> Iterator[str]:
    """Yield an error line for each setting of a schema's object that is not finite or out of its bound."""
    for entry in fields(settings):
        key, value, bound = prefix + entry.name, getattr(settings, entry.name), entry.metadata.get("bound")
        entries = value if isinstance(value, list) else [value]
        if is_dataclass(value):
            yield from out_of_bounds(value, f"{key}.")
        elif any(isinstance(number, float) and not math.isfinite(number) for number in entries):
            yield f"{key}={value} must be finite"
        elif any(map(is_dataclass, entries)):
            for index, part in enumerate(entries):
                yield from out_of_bounds(part, f"{key}[{index}].")
        elif bound and value is not None and not bound.holds(value):
            yield f"{key}={value:{bound.spec}} must {bound.requirement}"
