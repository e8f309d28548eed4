"""Examining blocks of rows in several processes, for inputs that are worth their start."""

from __future__ import annotations

import itertools
import os
import queue
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from multiprocessing.connection import Connection
from pickle import PicklingError

from stages.captions import Block
from stages.captions.examined import Examine, Examined, Rules, examiner
from stages.storage.prefetch import ahead
from stages.worker.launch import linked, run

ALONE = 64
"""Blocks that are examined before others are asked to help: less than a second's work, and that is what they cost."""
HELPERS = 4
"""More would wait for the process that asks them, which has a third as much to do with each block."""


def examined(blocks: Iterator[Block], rules: Rules) -> Iterator[tuple[Block, Examined]]:
    """Every block with what it holds, in their order: the same whoever examined it.

    Raises p2p.ModelError, and what ``blocks`` raise.
    """
    return _examined(blocks, rules, examiner(rules))


def _examined(blocks: Iterator[Block], rules: Rules, here: Examine) -> Iterator[tuple[Block, Examined]]:
    for block in itertools.islice(blocks, ALONE):
        yield block, here(block)
    more = next(blocks, None)
    if more is None:
        return
    blocks = itertools.chain([more], blocks)
    with ExitStack() as ending:
        processors = _processors()
        count = min(processors, HELPERS) if processors > 1 else 0
        helpers = [ending.enter_context(closing(Helper(here, rules))) for _ in range(count)]
        while not (helpers and all(helper.is_ready() for helper in helpers)):
            more = next(blocks, None)
            if more is None:
                return
            yield more, here(more)
        free = queue.SimpleQueue[Helper]()
        for helper in helpers:
            free.put(helper)

        def examine(block: Block) -> tuple[Block, Examined]:
            helper = free.get()
            try:
                return block, helper(block)
            finally:
                free.put(helper)

        yield from ahead(examine, blocks, count, 2 * count)


class Helper:
    """A process that examines blocks. Should it die, what it was asked is examined ``here``, and all that follows."""

    def __init__(self, here: Examine, rules: Rules) -> None:
        self._here = here
        self._link: Connection | None
        # Ctrl-C is for the command, which ends this one when it has finished.
        self.process, self._link = linked(partial(run, "stages.worker.process", session=True))
        self._link.send(("stages.captions.examined.examiner", rules))
        self._begun = False

    def is_ready(self) -> bool:
        """Whether it need not be waited for."""
        if self._link and not self._begun and self._link.poll(0):
            # What it says is why it cannot begin.
            self._begun = self._received() == ""
            if not self._begun:
                self.close()
        return self._begun or not self._link

    def __call__(self, block: Block) -> Examined:
        if self._link:
            try:
                self._link.send(block)
            except (PicklingError, TypeError, AttributeError):
                # A source's records may hold what stays in its process.
                return self._here(block)
            except OSError:
                pass
            found = self._received()
            if isinstance(found, Examined):
                return found
            self.close()
        return self._here(block)

    def close(self) -> None:
        """End the process."""
        if self._link:
            self._link.close()
            self._link = None
            self.process.kill()
            self.process.wait()

    def _received(self) -> object:
        """None of a process that is gone."""
        with suppress(EOFError, OSError):
            return self._link.recv() if self._link else None
        return None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
