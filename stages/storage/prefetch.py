"""Work beside the caller's own, in threads: what waits for a disk, or hashes, needs no interpreter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    act: Callable[[Item], Result], items: Iterable[Item], threads: int, held: int
) -> Generator[Result, None, None]:
    """``act`` of each item, in their order, begun before its result is asked for; of ``held`` at most.

    What ``act`` raises is raised where its result would be, and what has not begun by then is left.
    """
    waiting = deque[Future[Result]]()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(act, item))
                if len(waiting) == held:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
