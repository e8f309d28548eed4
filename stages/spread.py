"""Work on many blocks by processes beside this one: results in order, few blocks at a time, nothing left behind."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 3
"""Blocks a process that are under way or wait to be fetched."""


def in_order(
    work: Callable[[T], R], blocks: Iterable[T], processes: int, alone: int
) -> Iterator[tuple[T, R]]:
    """Each block with ``work(block)``, in their order.

    The first ``alone`` blocks are done by this process: short inputs start no others. An error of ``blocks`` is
    raised after the results of all blocks before it. The processes end with this iterator, however it ends; with
    a single one, or where processes cannot be forked safely, all is done here, and so is what a process died of.

    Args:
        work: keeps what it needs to itself: each process has its own copy of it as it is now.
        processes: how many to start.
    """
    remaining = iter(blocks)
    if processes < 2 or sys.platform != "linux":
        alone = sys.maxsize
    for block in itertools.islice(remaining, alone):
        yield block, work(block)
    first = next(remaining, None)
    if first is None:
        return
    # Forked: what a process works with is there at once, and no module is imported again.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _begin, (work,)) as pool:
        try:
            yield from _spread(pool, work, itertools.chain([first], remaining), _AHEAD * processes)
        finally:
            pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _spread(
    pool: ProcessPoolExecutor, work: Callable[[T], R], blocks: Iterator[T], ahead: int
) -> Iterator[tuple[T, R]]:
    waiting: deque[tuple[T, Future[R] | None]] = deque()
    broken: Exception | None = None
    more = True
    while more or waiting:
        while more and len(waiting) < ahead:
            try:
                block = next(blocks)
            except StopIteration:
                more = False
            except Exception as error:
                more, broken = False, error
            else:
                waiting.append((block, _submitted(pool, block)))
        if waiting:
            block, future = waiting.popleft()
            yield block, _fetched(future, work, block)
    if broken is not None:
        raise broken


def _submitted(pool: ProcessPoolExecutor, block: T) -> Future[R] | None:
    try:
        return pool.submit(_do, block)
    except BrokenProcessPool:
        return None


def _fetched(future: Future[R] | None, work: Callable[[T], R], block: T) -> R:
    try:
        return work(block) if future is None else future.result()
    except BrokenProcessPool:
        return work(block)


_work: Callable[[object], object]


def _begin(work: Callable[[object], object]) -> None:
    global _work
    _work = work
    # Looking for cycles among a block's results takes a tenth of the time, and results that travel have none.
    gc.disable()
    # A Ctrl-C is for the driver, which ends this process; one that is killed ends it by being gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(block: object) -> object:
    return _work(block)
