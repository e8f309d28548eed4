from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from stages.seen import FirstPlaces

# Ids that share their low bits fall on the same slot.
NAMES = st.integers(0, 2**64 - 1) | st.integers(0, 20).map(lambda n: n << 32) | st.just(0)


@given(st.lists(NAMES, max_size=200))
def test_it_is_a_dict_that_keeps_the_first(names: list[int]) -> None:
    table, expected = FirstPlaces(), {}
    for place, name in enumerate(names, 1):
        assert table.place_of(name, place) == expected.get(name, 0)
        expected.setdefault(name, place)
    assert len(table) == len(expected)


def test_it_grows_without_losing_any() -> None:
    draw = random.Random(0).getrandbits
    names = [draw(64) for _ in range(20_000)]
    table = FirstPlaces()
    assert not any(table.place_of(name, place) for place, name in enumerate(names, 1))
    assert [table.place_of(name, 1) for name in names] == list(range(1, 20_001))


def test_an_id_takes_no_more_than_46_bytes_and_the_table_as_much_again_only_while_it_grows() -> None:
    tracemalloc.start()
    table = FirstPlaces()
    draw = random.Random(0).getrandbits
    for place in range(1, 25_001):
        table.place_of(draw(64), place)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 46 * 25_000
    assert peak < 1.6 * held
