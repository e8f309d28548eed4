from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from stages.spread import in_order


def twice(number: int) -> tuple[int, int]:
    time.sleep(0.002 * (number % 3))
    return 2 * number, os.getpid()


def counted(upto: int, taken: list[int]) -> Iterator[int]:
    for number in range(upto):
        taken.append(number)
        yield number


def test_results_come_in_order_from_other_processes_and_few_are_ahead() -> None:
    taken: list[int] = []
    seen: list[int] = []
    others = set()
    for number, (doubled, process) in in_order(twice, counted(60, taken), 2, 5):
        assert doubled == 2 * number
        assert len(taken) <= number + 8
        seen.append(number)
        if number >= 5:
            others.add(process)
    assert seen == list(range(60))
    assert others
    assert os.getpid() not in others


def test_a_short_input_or_one_process_stays_here() -> None:
    for count, processes, alone in ((5, 2, 5), (60, 1, 5)):
        results = [process for _, (_, process) in in_order(twice, range(count), processes, alone)]
        assert results == [os.getpid()] * count


def test_the_processes_end_with_the_iterator() -> None:
    results = in_order(twice, range(10_000), 2, 0)
    next(results)
    assert len(psutil.Process().children()) >= 2
    before = {child.pid for child in psutil.Process().children()}
    results.close()
    assert not before & {child.pid for child in psutil.Process().children()}


def test_an_error_of_the_blocks_comes_after_the_results_before_it() -> None:
    def blocks() -> Iterator[int]:
        yield from range(7)
        raise OSError("broken off")

    results = in_order(twice, blocks(), 2, 2)
    assert [doubled for _, (doubled, _) in (next(results) for _ in range(7))] == [0, 2, 4, 6, 8, 10, 12]
    with pytest.raises(OSError, match="broken off"):
        next(results)


def test_what_a_process_died_of_is_done_here() -> None:
    here = os.getpid()

    def deadly(number: int) -> int:
        if number == 4 and os.getpid() != here:
            os._exit(1)
        return 2 * number

    assert [doubled for _, doubled in in_order(deadly, range(30), 2, 1)] == list(range(0, 60, 2))


def test_processes_end_when_their_parent_is_killed() -> None:
    script = """
import itertools, os, signal
from stages.spread import in_order
def who(number): return os.getpid()
pids = {pid for _, pid in itertools.islice(in_order(who, itertools.count(), 2, 0), 40)}
results = in_order(who, itertools.count(), 2, 0)
print(*{pid for _, pid in itertools.islice(results, 40)}, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    workers = [int(pid) for pid in done.stdout.split()]
    assert workers
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
