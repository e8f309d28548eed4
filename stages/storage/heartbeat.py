"""The heartbeat of a driver: a small file in the output, rewritten every few seconds while the driver runs."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass

from stages.storage.store import Store

FOLDER = "run/drivers"
SECONDS_BETWEEN = 10.0
SECONDS_UNTIL_DEAD = 60.0


@dataclass(frozen=True)
class Heartbeat:
    """``state`` is running, finished, stopped or failed; times are seconds since the epoch by the driver's clock.

    ``rate``: caption pairs a second since this driver started. ``first_kept``: seconds from the start of its process to
    the first kept sample, None before that.
    """

    id: str
    host: str
    pid: int
    started: float
    seen: float
    state: str
    rate: float
    first_kept: float | None = None

    def is_alive(self, now: float) -> bool:
        """Return False if the driver has ended, or has been silent for so long that it must have been killed."""
        return self.state == "running" and now - self.seen < SECONDS_UNTIL_DEAD


@contextmanager
def keep_heartbeat(
    store: Store, rate: Callable[[], float], first_kept: Callable[[], float | None] = lambda: None
) -> Iterator[None]:
    """Write this driver's heartbeat while the block runs, and at the end the state in which it ended."""
    started, driver = time.time(), uuid.uuid4().hex[:12]
    name = f"{FOLDER}/{int(started)}-{driver}.json"

    def write(state: str) -> None:
        heartbeat = Heartbeat(
            driver, socket.gethostname(), os.getpid(), started, time.time(), state, rate(), first_kept()
        )
        store.write(name, json.dumps(asdict(heartbeat)).encode())

    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(SECONDS_BETWEEN):
            # The run goes on if its heartbeat cannot be written.
            with suppress(OSError):
                write("running")

    write("running")
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    state = "failed"
    try:
        yield
        state = "finished"
    except KeyboardInterrupt:
        state = "stopped"
        raise
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            write(state)


def read_heartbeats(store: Store) -> list[Heartbeat]:
    """Read the last heartbeat of every driver of the output, the earliest driver first."""
    return [Heartbeat(**json.loads(store.read(name))) for name in store.list(FOLDER)]
