from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from stages.captions.dedup import DuplicateCheck
from stages.records import CaptionPair


def pair(number: int, line: int) -> CaptionPair:
    return CaptionPair(f"a {number}", "e", f"b {number}", line=line)


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=12), max_size=4))
def test_it_names_the_first_place_as_a_plain_search_does(files: list[list[tuple[int, int]]]) -> None:
    check, first = DuplicateCheck(), dict[int, tuple[str, int]]()
    for name, records in zip("abcd", files, strict=False):
        line = 0
        for number, step in records:
            line += step
            file, place = first.setdefault(number, (name, line))
            elsewhere = "" if file == name else f" of {file}"
            same = f"the same caption pair stands on line {place}{elsewhere}"
            expected = "" if (file, place) == (name, line) else same
            assert check(pair(number, line), name) == expected


def test_a_pair_takes_no_more_than_150_bytes() -> None:
    check, count = DuplicateCheck(), 100_000
    tracemalloc.start()
    for line in range(1, count + 1):
        assert not check(pair(line, line), "f")
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 150 * count
    assert peak < 1.6 * held
