from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.storage.prefetch import ahead


@given(st.integers(0, 30), st.integers(1, 4), st.integers(1, 8))
def test_results_come_in_the_order_of_the_items(count: int, threads: int, held: int) -> None:
    assert list(ahead(lambda n: n * n, range(count), threads, held)) == [n * n for n in range(count)]


def test_no_more_is_held_than_asked_for() -> None:
    taken: list[int] = []
    results = ahead(lambda n: n, (taken.append(n) or n for n in range(100)), 2, 5)
    assert next(results) == 0
    assert taken == [0, 1, 2, 3, 4]
    results.close()


def test_items_are_worked_on_beside_one_another() -> None:
    """Each waits for the other: one after the other they would wait for good."""
    both = threading.Barrier(2, timeout=60)
    assert len(list(ahead(lambda _: both.wait(), range(2), 2, 2))) == 2


def test_an_error_is_raised_in_its_place_and_ends_it() -> None:
    def act(number: int) -> int:
        if number == 2:
            raise OSError("full")
        return number

    results = ahead(act, range(100), 2, 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(OSError, match="full"):
        next(results)
