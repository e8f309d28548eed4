"""The driver's sign of life: a small file in the output, written again and again while it runs."""

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
class Beat:
    """``state`` is running, finished, stopped or failed; times are in seconds since the epoch, by the driver's clock.

    ``rate`` is in caption pairs a second since the start of this driver; ``first_kept`` the seconds from its process's
    start to the first sample kept, None as long as there is none.
    """

    id: str
    host: str
    pid: int
    started: float
    seen: float
    state: str
    rate: float
    first_kept: float | None = None

    def alive(self, now: float) -> bool:
        """Whether it runs, as far as can be told from elsewhere: a killed driver is silent, and that shows."""
        return self.state == "running" and now - self.seen < SECONDS_UNTIL_DEAD


@contextmanager
def beating(
    store: Store, rate: Callable[[], float], first_kept: Callable[[], float | None] = lambda: None
) -> Iterator[None]:
    """Write this driver's beat while the block runs, and at its end how it ended."""
    started, own = time.time(), uuid.uuid4().hex[:12]
    name = f"{FOLDER}/{int(started)}-{own}.json"

    def write(state: str) -> None:
        beat = Beat(own, socket.gethostname(), os.getpid(), started, time.time(), state, rate(), first_kept())
        store.write(name, json.dumps(asdict(beat)).encode())

    over = threading.Event()

    def beat_on() -> None:
        while not over.wait(SECONDS_BETWEEN):
            # A sign of life that cannot be written is no reason to die.
            with suppress(OSError):
                write("running")

    write("running")
    thread = threading.Thread(target=beat_on, daemon=True)
    thread.start()
    state = "failed"
    try:
        yield
        state = "finished"
    except KeyboardInterrupt:
        state = "stopped"
        raise
    finally:
        over.set()
        thread.join()
        with suppress(OSError):
            write(state)


def beats(store: Store) -> list[Beat]:
    """The last beat of every driver that the output has seen, the earliest first."""
    return [Beat(**json.loads(store.read(name))) for name in store.list(FOLDER)]
