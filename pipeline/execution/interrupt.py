"""What ends a run before its last unit: Ctrl-C, its deadline, a cluster without room for a worker. It never hangs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from conf.running import Cluster
from pipeline.errors import INTERRUPTED, STOPPED, UNFINISHED, RunError

# After Ctrl-C, what is made already is let through to its commit for so long; then Ray is shut down; and if that
# hangs, the process ends all the same. In seconds.
GRACE, LEAVE = 3.0, 9.0
SECONDS_BETWEEN_LOOKS = 1.0


def deadline(hours: float | None, clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
    """A function that says so when ``hours`` are over since this call, and otherwise nothing."""
    began = clock()

    def over() -> str:
        if hours is None or clock() - began <= hours * 3600:
            return ""
        return f"its time is over (cluster.hours={hours:g})"

    return over


def check(over: Callable[[], str]) -> None:
    """Raises RunError with the reason that ``over`` gives, if it gives one."""
    reason = over()
    if reason:
        raise RunError(_unfinished(reason))


def limits(
    cluster: Cluster,
    over: Callable[[], str],
    has_room: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], str]:
    """A function that says why the run should end now, or nothing.

    ``over`` is the run's ``deadline``. ``has_room`` says whether some machine that is there can hold a worker at all,
    be it free or not.
    """
    seen = clock()

    def reason() -> str:
        nonlocal seen
        now, ended = clock(), over()
        if ended:
            return ended
        if has_room():
            seen = now
        elif now - seen > cluster.wait_seconds:
            return (
                f"no machine of the cluster could hold a worker for {cluster.wait_seconds:g} s "
                "(cluster.wait_seconds): start one"
            )
        return ""

    return reason


@contextmanager
def watched(reason: Callable[[], str], terminal: TextIO) -> Iterator[None]:
    """Run the block until it ends, Ctrl-C comes, or ``reason`` gives one.

    The first Ctrl-C is raised after ``GRACE`` seconds, the second at once. Raises KeyboardInterrupt, or RunError with
    the reason. A block that does not end within ``LEAVE`` seconds of either is left with its process, the last words
    going to ``terminal``. Without a main thread to interrupt, nothing is watched.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over, reasons = threading.Event(), list[str]()
    timers: list[threading.Timer] = []

    def after(seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timers.append(timer)
        timer.start()

    def leave() -> None:
        terminal.write(f"pairforge: {_unfinished(reasons[0]) if reasons else STOPPED}\n")
        terminal.flush()
        os._exit(UNFINISHED if reasons else INTERRUPTED)

    def interrupted(signum: int, frame: FrameType | None) -> None:
        if timers:
            raise KeyboardInterrupt
        after(LEAVE, leave)
        after(GRACE, _interrupt)

    def look() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            found = reason()
            if found and not timers:
                reasons.append(found)
                after(LEAVE, leave)
                _interrupt()
                return

    before = signal.signal(signal.SIGINT, interrupted)
    threading.Thread(target=look, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not reasons:
            raise
        raise RunError(_unfinished(reasons[0])) from None
    finally:
        over.set()
        for timer in timers:
            timer.cancel()
        # None: a handler that was not set from Python, and cannot be put back from here.
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


def _interrupt() -> None:
    """A real signal, which wakes the main thread where an exception alone would wait for it to wake."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _unfinished(reason: str) -> str:
    return f"the run ends: {reason}; what is committed stays, the same command goes on"
