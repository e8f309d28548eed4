from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import get_args, get_type_hints

import pytest

from conf.bounds import CHANCE, NOT_NEGATIVE, POSITIVE, SHARE, Bound, at_least, bounded, out_of_bounds
from conf.pairs import PairsConfig
from conf.schema import Config
from conf.sweeps import AdaptiveSweep, GridSweep, RandomSweep
from pipeline.export.export_settings import Export
from pipeline.finetune.finetune_settings import Finetune


@dataclass
class Part:
    steps: int = bounded(at_least(2), 2)
    levels: list[float] | None = bounded(
        Bound(lambda levels: levels == sorted(levels), "rise", spec=""), None
    )


@dataclass
class Whole:
    share: float | None = bounded(SHARE, None)
    part: Part = field(default_factory=Part)


def test_each_setting_out_of_its_bound_has_a_line_with_its_key():
    assert list(out_of_bounds(Whole())) == []
    assert list(out_of_bounds(Whole(1.5, Part(1, [2.0, 1.0])))) == [
        "share=1.5 must be over 0 and at most 1",
        "part.steps=1 must be 2 or more",
        "part.levels=[2.0, 1.0] must rise",
    ]


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [
        (NOT_NEGATIVE, [0, 0.1], [-0.1]),
        (POSITIVE, [0.1], [0, -1]),
        (SHARE, [0.1, 1], [0, 1.1]),
        (CHANCE, [0, 1], [-0.1, 1.1]),
        (at_least(4), [4], [3]),
    ],
)
def test_bounds_hold_at_their_ends(bound: Bound, inside: list[float], outside: list[float]):
    assert all(bound.holds(value) for value in inside)
    assert not any(bound.holds(value) for value in [*outside, float("nan")])


def bounds_of(schema: type, prefix: str = "") -> dict[str, tuple[Bound, object]]:
    hints, found = get_type_hints(schema), {}
    for entry in fields(schema):
        if is_dataclass(hints[entry.name]):
            found |= bounds_of(hints[entry.name], f"{prefix}{entry.name}.")
        elif "bound" in entry.metadata:
            found[prefix + entry.name] = (entry.metadata["bound"], entry.default)
    return found


@pytest.mark.parametrize("schema", [Config, PairsConfig, GridSweep, RandomSweep, AdaptiveSweep])
def test_every_default_is_within_its_bound(schema: type):
    found = bounds_of(schema)
    assert found
    for key, (bound, default) in found.items():
        assert default in (None, "???") or bound.holds(default), key


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_every_number_is_finite(number: float):
    assert list(out_of_bounds(Whole(number))) == [f"share={number} must be finite"]
    assert list(out_of_bounds(Whole(0.5, Part(2, [0.0, number])))) == [
        f"part.levels=[0.0, {number}] must be finite"
    ]


@dataclass
class Listed:
    parts: list[Part] = field(default_factory=list)


def test_the_parts_of_a_list_are_counted():
    assert list(out_of_bounds(Listed([Part(2), Part(1)]))) == ["parts[1].steps=1 must be 2 or more"]


RELATED = {"taus", "prior", "split", "least", "most"}
"""Settings of which a check of several settings knows the bounds."""


def numbers_without_bound(schema: type) -> set[str]:
    hints, unbound = get_type_hints(schema), set()
    for entry in fields(schema):
        inner = get_args(hints[entry.name]) or (hints[entry.name],)
        for part in inner:
            if is_dataclass(part):
                unbound |= numbers_without_bound(part)
        if {int, float} & {
            *inner,
            *(arg for part in inner for arg in get_args(part)),
        } and "bound" not in entry.metadata:
            unbound.add(entry.name)
    return unbound


@pytest.mark.parametrize(
    "schema", [Config, PairsConfig, GridSweep, RandomSweep, AdaptiveSweep, Finetune, Export]
)
def test_every_number_has_a_bound(schema: type):
    assert numbers_without_bound(schema) <= RELATED
