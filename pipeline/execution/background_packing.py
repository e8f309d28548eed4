"""Packs files of the dataset on the cluster while other units are made.

A file is packed as soon as all units with pieces of it are committed. What is left at the end, and what failed here, is
packed by ``pipeline.dataset.pack.pack``, which writes the same bytes.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import RayTaskError

from conf.messages import error_line
from pipeline.dataset.pack import FilePlan, plan_files, write_file
from stages.storage.commits import read_commit
from stages.storage.store import Store

AT_ONCE = 4
"""Files that are packed at the same time."""


class _ClosedError(Exception):
    """No more units are noted."""


@contextmanager
def packing_beside(
    store: Store, samples_per_shard: int, committed: Iterable[int]
) -> Iterator[BackgroundPacking]:
    """Pack while the block runs, on the connected cluster."""
    packing = BackgroundPacking(store, samples_per_shard, committed)
    try:
        yield packing
    except BaseException:
        # Ctrl-C does not wait for files.
        packing.close(wait=False)
        raise
    packing.close()


class BackgroundPacking:
    """Follows the commits of a run in the order of its units. ``note`` may be called by any thread."""

    def __init__(self, store: Store, samples_per_shard: int, committed: Iterable[int]) -> None:
        """``committed``: units that are committed already, in any order."""
        self._store, self._size = store, samples_per_shard
        self._ready = set(committed)
        self._closed = False
        self._news: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._pack, daemon=True)
        self._thread.start()

    def note(self, unit: int) -> None:
        """Note that ``unit`` is committed."""
        self._news.put(unit)

    def close(self, wait: bool = True) -> None:
        """Pack what is complete, and stop. Without ``wait``, stop after the files that are being written."""
        self._closed = not wait
        self._news.put(None)
        if wait:
            self._thread.join()

    def _pack(self) -> None:
        task = ray.remote(num_cpus=0, max_retries=1, scheduling_strategy="SPREAD")(_write)
        writing: list[Any] = []
        try:
            with suppress(_ClosedError):
                for plan in plan_files(self._commits(), self._size):
                    if len(writing) == AT_ONCE:
                        done, writing = ray.wait(writing)
                        ray.get(done)
                    writing.append(task.remote(self._store.url, plan))
            ray.get(writing)
        # The run needs none of these files: pack() writes what is missing, or says what is wrong.
        except Exception as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            print(f"packing beside the run ends: {error_line(cause)}", file=sys.stderr)

    def _commits(self) -> Iterator[dict[str, Any]]:
        """Yield the commits in the order of the units, each when it is there, until ``close``."""
        unit = 0
        while True:
            if self._closed:
                raise _ClosedError
            while unit not in self._ready:
                news = self._news.get()
                if news is None:
                    # plan_files would take the end for that of the run, and cut an incomplete file.
                    raise _ClosedError
                self._ready.add(news)
            self._ready.remove(unit)
            yield read_commit(self._store, unit)
            unit += 1


def _write(url: str, plan: FilePlan) -> None:
    write_file(Store(url), plan)
