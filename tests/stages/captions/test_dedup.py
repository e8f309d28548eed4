from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.captions.dedup import FirstPlaces

# Ids that share their low bits fall on the same slot.
NAMES = st.integers(0, 2**64 - 1) | st.integers(0, 20).map(lambda n: n << 32) | st.just(0)


def places_of(table: FirstPlaces, names: list[int], first: int) -> list[int]:
    """With places counted from ``first``."""
    places = np.arange(first, first + len(names), dtype=np.uint64)
    return table.places_of(np.array(names, np.uint64), places).tolist()


@given(st.lists(st.lists(NAMES, max_size=100), max_size=5))
def test_it_is_a_dict_that_keeps_the_first(blocks: list[list[int]]) -> None:
    table, expected, place = FirstPlaces(), {}, 1
    for names in blocks:
        wanted = []
        for number, name in enumerate(names, place):
            wanted.append(expected.get(name, 0))
            expected.setdefault(name, number)
        assert places_of(table, names, place) == wanted
        place += len(names)
    assert len(table) == len(expected)


@pytest.mark.parametrize("block", [1, 700, 20_000])
def test_it_grows_without_losing_any(block: int) -> None:
    draw = random.Random(0).getrandbits
    names = [draw(64) for _ in range(20_000)] if block > 1 else [draw(64) for _ in range(3_000)]
    table = FirstPlaces()
    for start in range(0, len(names), block):
        assert not any(places_of(table, names[start : start + block], start + 1))
    assert places_of(table, names, 1) == list(range(1, len(names) + 1))


def test_an_id_takes_no_more_than_46_bytes_and_the_table_as_much_again_only_while_it_grows() -> None:
    tracemalloc.start()
    table = FirstPlaces()
    draw = np.random.default_rng(0)
    for start in range(0, 250_000, 1000):
        names = draw.integers(0, 2**64, 1000, np.uint64)
        table.places_of(names, np.arange(start + 1, start + 1001, dtype=np.uint64))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 46 * 250_000
    assert peak < 1.6 * held
