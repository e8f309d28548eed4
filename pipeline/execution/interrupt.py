"""Ends a run before its last unit: on Ctrl-C, at its deadline, or if no machine has room for a worker."""

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

# Seconds after Ctrl-C until the run is interrupted, so that finished units reach their commit, and until the process
# exits even if shutting Ray down hangs.
GRACE, LEAVE = 3.0, 9.0
SECONDS_BETWEEN_CHECKS = 1.0


def deadline(hours: float | None, clock: Callable[[], float] = time.monotonic) -> Callable[[], str]:
    """Return a function that returns a reason to end when ``hours`` have passed since this call, before that ""."""
    began = clock()

    def reason() -> str:
        if hours is None or clock() - began <= hours * 3600:
            return ""
        return f"its time is over (cluster.hours={hours:g})"

    return reason


def check_deadline(over: Callable[[], str]) -> None:
    """Raise RunError if ``over``, a ``deadline``, returns a reason."""
    reason = over()
    if reason:
        raise RunError(_unfinished(reason))


def end_reason(
    cluster: Cluster,
    over: Callable[[], str],
    has_room: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Callable[[], str]:
    """Return a function that returns a reason to end the run now, or "".

    ``over`` is the run's ``deadline``. ``has_room`` returns True if a machine of the cluster can hold a worker, free or
    not.
    """
    last_room = clock()

    def reason() -> str:
        nonlocal last_room
        now, time_over = clock(), over()
        if time_over:
            return time_over
        if has_room():
            last_room = now
        elif now - last_room > cluster.wait_seconds:
            return (
                f"no machine of the cluster could hold a worker for {cluster.wait_seconds:g} s "
                "(cluster.wait_seconds): start one"
            )
        return ""

    return reason


@contextmanager
def interruptible(reason: Callable[[], str], terminal: TextIO) -> Iterator[None]:
    """Run the block until it ends, Ctrl-C comes, or ``reason`` returns a reason.

    The first Ctrl-C is raised after ``GRACE`` seconds, the second at once. Raises KeyboardInterrupt, or RunError with
    the reason. If the block does not end within ``LEAVE`` seconds, the process exits with a message on ``terminal``.
    Outside the main thread, which alone receives signals, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended, reasons = threading.Event(), list[str]()
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

    def handle(signum: int, frame: FrameType | None) -> None:
        if timers:
            raise KeyboardInterrupt
        after(LEAVE, leave)
        after(GRACE, _interrupt)

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_CHECKS):
            text = reason()
            if text and not timers:
                reasons.append(text)
                after(LEAVE, leave)
                _interrupt()
                return

    handler_before = signal.signal(signal.SIGINT, handle)
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if not reasons:
            raise
        raise RunError(_unfinished(reasons[0])) from None
    finally:
        ended.set()
        for timer in timers:
            timer.cancel()
        # None: the handler was not set from Python and cannot be restored from here.
        signal.signal(signal.SIGINT, handler_before or signal.default_int_handler)


def _interrupt() -> None:
    """Send a real signal: it wakes a main thread that waits, which an exception would not."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _unfinished(reason: str) -> str:
    return f"the run ends: {reason}; what is committed stays, the same command goes on"
